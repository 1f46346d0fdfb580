"""Finite sets of points: digits, patches, tables of the user's own, those of the MAF paper."""

import json
import math
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

import genexp as library
from genexp.config.composition import compose
from genexp.data.digits import DigitPoints
from genexp.data.patches import GAP, STRIP, CentredPatches, Patches
from genexp.data.points import Dequantised, PointData, PointSet, split
from genexp.data.table import TableData
from genexp.data.uci import UCI
from genexp.data.units import Units, units_of
from genexp.errors import UserError
from genexp.folder.records import read_metrics
from genexp.registry import datasets, models
from genexp.subject import Subject
from tests.laws.members import shaken
from tests.parts import arrays
from tests.subjects import taken

NUMBERS = "\n".join(f"{1.5 * i},{i * i % 7},{'ab'[i % 2]},7" for i in range(30))
CAUCHY = "\n".join(f"{math.tan(math.pi * (i + 0.5) / 400 - math.pi / 2)},{i % 20}.{i}" for i in range(400))


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., TableData]:
    """The data set of a CSV with this text."""

    def opened(text: str, **keys: Any) -> TableData:
        (tmp_path / "my.csv").write_text(text, encoding="utf-8")
        return datasets.build({"name": "table", "file": "my.csv", **keys}, tmp_path)  # type: ignore[no-any-return]

    return opened


class StandardNormal(torch.nn.Module):
    """ln N(x; 0, I), and nothing to learn."""

    can, objective = frozenset({"sample", "exact"}), "nll"

    def log_prob(self, x: Tensor) -> Tensor:
        return -0.5 * (x.square() + math.log(2 * math.pi)).sum(1)


class UnitCube(StandardNormal):
    """Uniform on [0, 1]ⁿ."""

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.where(((x >= 0) & (x < 1)).all(1), 0.0, -math.inf)


def measured(model: Any, data: Any, *names: str) -> dict[str, Any]:
    return taken(Subject(model, data, compose([]).settings, torch.device("cpu")), *names)


# --- finite sets of points -------------------------------------------------------------------------------------------


def test_a_split_is_one() -> None:
    parts = split(PointSet(torch.arange(50.0)[:, None], torch.arange(50)), 0.1, 0.2, 3)
    assert [len(part) for part in parts] == [35, 5, 10]
    assert sorted(torch.cat([part.x[:, 0] for part in parts]).tolist()) == [*range(50)]
    assert all(torch.equal(part.x[:, 0], part.label.float()) for part in parts)  # type: ignore[union-attr]
    assert not torch.equal(parts[0].x, split(PointSet(torch.arange(50.0)[:, None]), 0.1, 0.2, 4)[0].x)


def test_whole_numbers_get_new_noise_in_each_batch_and_lie_where_they_did() -> None:
    data: PointData = datasets.build({"name": "digits", "flat": True}, Path())
    stream = data.train_stream(len(data.train), 0)
    one, other = stream.next(), stream.next()
    first, second = (batch.x[batch.x.sum(1).argsort()] for batch in (one, other))
    assert not torch.equal(first, second)
    whole = {tuple(row) for row in load_digits().data.astype(int).tolist()}
    for x in (one.x, data.validation.x, data.test.x):
        assert {tuple(row) for row in (17 * x).long().tolist()} <= whole
        assert float((17 * x).frac().mean()) == pytest.approx(0.5, abs=0.01)
    noise = Dequantised(4)(torch.full((20_000, 1), 3.0), torch.Generator().manual_seed(0))
    assert 0.75 <= float(noise.min()) < float(noise.max()) < 1


def test_what_equal_probabilities_cost_in_bits() -> None:
    data = datasets.build({"name": "digits", "flat": True}, Path())
    assert isinstance(data, DigitPoints)
    found = measured(UnitCube(), data, "bits_per_dim", "nll")
    assert found["nll"] == 0
    assert found["bits_per_dim"] == pytest.approx(math.log2(17)) == found["baseline/bits_per_dim"]
    gaussian = measured(StandardNormal(), data, "bits_per_dim", "nll")
    assert gaussian["bits_per_dim"] == pytest.approx(gaussian["nll"] / (64 * math.log(2)) + math.log2(17))


def test_digits_as_pictures_are_grey_from_black_to_white() -> None:
    data = datasets.build({"name": "digits"}, Path())
    k = 16 * torch.cat([part.batch().x for part in (data.train, data.validation, data.test)])
    assert torch.equal((k * 255 / 16).round().sum((1, 2, 3)).sort().values, grey_of_digits())


def grey_of_digits() -> Tensor:
    """Of each digit, all its pixels as bytes, in order."""
    return (torch.from_numpy(load_digits().data).float() * 255 / 16).round().sum(1).sort().values


def test_a_strip_of_a_photograph_is_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, list[Tensor]] = {}
    photograph = np.repeat((np.arange(640) // STRIP).astype(np.uint8)[None, :, None], 20, 0).repeat(3, 2)
    photograph[:, np.arange(640) % STRIP >= STRIP - GAP] = 255  # between two strips: in no patch
    monkeypatch.setattr("sklearn.datasets.load_sample_images", lambda: SimpleNamespace(images=[photograph, photograph]))
    monkeypatch.setattr(Patches, "parts", lambda self, *parts, **_: told.update(parts=[part.x for part in parts]))
    Patches(Path())
    train, validation, test = ({float(x[0]) for x in part} for part in told["parts"])
    assert all((part == part[:, :1]).all() for part in told["parts"])
    assert len(validation) <= 2 < len(test) + 1 <= 5
    assert train | validation | test == {*map(float, range(10))}


def test_patches_have_mean_zero_and_lack_the_last_pixel() -> None:
    k = torch.randint(0, 256, (200, 64), generator=torch.Generator().manual_seed(0)).float()
    x = CentredPatches()(k, torch.Generator().manual_seed(1))
    y = k / 256 - (k / 256).mean(1, keepdim=True)
    assert x.shape == (200, 63)
    assert (x - y[:, :-1]).abs().max() < 1 / 256 + 1e-6
    assert (x.sum(1) + y[:, -1]).abs().max() < 1 / 256 + 1e-5


# --- tables ----------------------------------------------------------------------------------------------------------


def test_likelihoods_are_those_of_the_columns_in_their_own_units(table) -> None:
    """N(0, I) of what is standardised is a Gaussian of the columns: its nll there, and what a thousand times as much does."""
    rows = np.random.default_rng(0).normal([3.0, -50.0], [0.01, 20.0], (200, 2))
    as_text = "\n".join(f"{a:.17g},{b:.17g}" for a, b in rows)
    data = table(as_text)
    y = data.units.own(data.test.x)
    m, s = (torch.tensor(values, dtype=torch.float64) for values in (data.units.shift, data.units.scale))
    truth = -torch.distributions.Normal(m, s).log_prob(y).sum(1).mean()
    own = data.units.own(data.train.x)
    assert torch.allclose(m, own.mean(0))
    assert torch.allclose(s, own.std(0, correction=0))  # of the training rows alone
    found = measured(StandardNormal(), data, "nll")
    assert found["nll"] == pytest.approx(float(truth), abs=1e-5)
    larger = table("\n".join(f"{a:.17g},{1000 * b:.17g}" for a, b in rows))
    more = measured(StandardNormal(), larger, "nll")
    for name in ("nll", "baseline/nll"):
        assert more[name] - found[name] == pytest.approx(math.log(1000), abs=1e-5)
    assert found["baseline/nll"] == pytest.approx(found["nll"], abs=0.2)
    assert torch.allclose(data.units.own(data.units.seen(y)), y)
    assert torch.cdist(data.units.own(data.train.x), torch.from_numpy(rows)).min(1).values.max() < 1e-4


def test_what_a_table_is_read_as(table, tmp_path: Path) -> None:
    header = table("length,score,class,always\n" + NUMBERS, label="class")
    assert header.units.columns == ("length", "score")
    assert header.spec.classes == ("a", "b")
    assert "left out, as constant: always" in header.describe()
    assert "no density is high enough: score" in header.describe()
    bare = table(NUMBERS, columns=[0, -3], label=2)
    assert torch.equal(bare.train.x, header.train.x)
    assert torch.equal(bare.train.label, header.train.label)
    german = table("a;b\n" + "\n".join(f"{i},5;{i * i}" for i in range(12)))
    assert german.units.shift[0] == pytest.approx(float(german.units.own(german.train.x)[:, 0].mean()))
    assert float(german.units.own(german.test.x)[0, 0]) % 1 == pytest.approx(0.5)
    dropped = table("a,b\n" + "1,2\n3,?\n4,inf\n" + "\n".join(f"{i},{i * i}" for i in range(9)), missing="drop")
    assert "2 of 12 rows left out" in dropped.describe()
    rows = np.random.default_rng(0).normal(size=(20, 3))
    np.save(tmp_path / "my.npy", rows)
    np.savez(tmp_path / "my.npz", one=rows, other=rows[:, 0])
    from_npy = TableData(tmp_path, file="my.npy")
    assert torch.equal(TableData(tmp_path, file="my.npz", array="one").test.x, from_npy.test.x)
    assert TableData(tmp_path, file="my.npz", array="other").spec.shape == (1,)


REFUSED = {
    "column c is text: 'a' in row 1": ("a,b,c,d\n" + NUMBERS, {}),
    "unknown column 'e'": ("a,b,c,d\n" + NUMBERS, {"columns": ["e"]}),
    "there is no column 9": (NUMBERS, {"columns": [9]}),
    "not the class": (NUMBERS, {"columns": [0, 2], "label": 2}),
    "1 of 5 rows lack a value, the first is row 2 (column b)": ("a,b\n1,2\n3,\n4,5\n5,6\n7,7", {}),
    "row 3 has 1 cells, the first 2": ("a,b\n1,2\n3", {}),
    "there is nothing in it": ("\n# a,b\n", {}),
    "there is no row in it": ("a,b\n", {}),
    "every column is constant": ("\n".join(["5,5"] * 10), {}),
    "2 rows are too few": ("1\n2", {}),
    "0 rows are too few": ("a\nnan\nnan\nnan", {"missing": "drop"}),
    "numbers beyond 1e+100": ("1e200\n2\n3\n4", {}),
    "two columns of one name: a, a": ("a,a\n1,2\n3,4", {}),
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_table_that_cannot_be_learnt_is_refused_in_one_line(table, said: str) -> None:
    text, keys = REFUSED[said]
    with pytest.raises(UserError) as refused:
        table(text, **keys)
    assert said in refused.value.message
    assert "\n" not in refused.value.message


def test_files_that_are_no_table(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    np.savez(tmp_path / "two.npz", a=np.zeros(9), b=np.zeros(9))
    for name in ("bad.csv", "bad.npy", "bad.npz", "table.xlsx"):
        (tmp_path / name).write_bytes(b"\xff\x00PK\x03\x04")
    said = {
        "objects.npy": "cannot be read",
        "cube.npy": "a table is",
        "two.npz": "which of its arrays",
        **dict.fromkeys(("bad.csv", "bad.npy", "bad.npz"), "cannot be read"),
        "none.csv": "no such file",
        "table.xlsx": "not a table",
    }
    for name, what in said.items():
        with pytest.raises(UserError, match=what):
            TableData(tmp_path, file=name)
    with pytest.raises(UserError, match=r"dataset\.file is missing"):
        TableData(tmp_path)


def test_arrays_are_told_by_what_is_in_the_file(tmp_path: Path) -> None:
    y = np.random.default_rng(0).normal(size=(20, 2))
    np.savez(tmp_path / "one.npz", y=y)
    np.save(tmp_path / "two.npy", y)
    (tmp_path / "one.npz").rename(tmp_path / "one.npy")
    (tmp_path / "two.npy").rename(tmp_path / "two.npz")
    assert torch.equal(TableData(tmp_path, file="one.npy").test.x, TableData(tmp_path, file="two.npz").test.x)


@pytest.mark.parametrize("at", [60, 200, -9])  # in what is packed, twice, and in the directory
def test_a_damaged_archive_is_refused_in_one_line(tmp_path: Path, at: int) -> None:
    np.savez_compressed(tmp_path / "y.npz", y=np.random.default_rng(0).normal(size=(20, 2)))
    content = bytearray((tmp_path / "y.npz").read_bytes())
    content[at] ^= 255
    for damaged in (content, content[:at]):
        (tmp_path / "y.npz").write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read"):
            TableData(tmp_path, file="y.npz")


@pytest.mark.parametrize(("shape", "field"), [((4, 5), "f8"), ((20,), ("f8", 3)), ((), "f8")])
def test_records_are_a_table_where_each_is_a_row_of_numbers(tmp_path: Path, shape: tuple[int, ...], field: Any) -> None:
    np.save(tmp_path / "records.npy", np.zeros(shape, [("a", *([field] if isinstance(field, str) else field))]))
    with pytest.raises(UserError, match="a table is"):
        TableData(tmp_path, file="records.npy")


def test_one_long_text_costs_no_more_than_itself(table) -> None:
    text = "a,note\n" + "\n".join(f"{i}.5,{'x' * (100_000 if i == 7 else 1)}" for i in range(300))
    tracemalloc.start()
    data = table(text, columns=["a"])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data.train) == 240
    assert most < 5_000_000  # with room for it in every row they were 240 million bytes


def test_numbers_whose_squares_are_zero_are_constant(table) -> None:
    text = "\n".join(f"{i}e-180,{i}" for i in range(30))
    assert "left out, as constant: x0" in table(text).describe()


def test_units_in_a_strangers_record_are_units_or_nothing() -> None:
    units = Units(("a", "b"), (1.0, 2.0), (3.0, 4.0))
    record = json.loads(json.dumps(units.record()))
    assert units_of(record, 2) == units
    for wrong in (None, [], {}, {**record, "scale": [0.0, 1.0]}, {**record, "shift": [1.0]}, {**record, "scale": ["1", 2.0]}):
        assert units_of(wrong, 2) is None
    assert units_of(record, 3) is None


def test_a_run_on_a_table(genexp, tiny: list[str], tmp_path: Path) -> None:
    """A column with Cauchy's tails; samples in its units; another file is noticed."""
    (tmp_path / "my.csv").write_text("heavy,light\n" + CAUCHY)
    words = ["dataset=table", "dataset.file=my.csv", "model=spline_coupling", "run_dir=r", "figures.enabled=false", *tiny]
    words += ["evaluation.num_samples=50", "model.depth=1", "model.transformer.bins=4"]
    code, _, err = genexp("run", *words)
    assert code == 0, err
    metrics = read_metrics(tmp_path / "r")
    assert all(value is None or math.isfinite(value) for value in metrics.values() if not isinstance(value, str))
    assert metrics["nll"] is not None
    run = library.open("r")
    saved = arrays("r/samples/samples.npz")
    y = torch.from_numpy(saved["target"])
    assert -float(run.log_prob(y).mean()) == pytest.approx(metrics["nll"], abs=1e-3)
    assert genexp("sample", "r", "--num", "20", "--log-prob", "--out", "more.npz")[0] == 0
    more = arrays("more.npz")
    assert np.array_equal(more["samples"], run.sample(20).numpy())
    assert np.allclose(more["log_prob"], run.log_prob(more["samples"]).numpy(), atol=1e-3)
    (tmp_path / "my.csv").write_text("heavy,light\n" + CAUCHY.replace("1", "2"))
    code, _, err = genexp("resume", "r", "trainer.max_steps=4")
    assert code == 2
    assert "are not those that it was trained on" in err


def test_bounds_are_in_the_units_of_the_columns_as_likelihoods_are(genexp, tiny: list[str], tmp_path: Path) -> None:
    """A column in thousandths costs ln 1000 more: a VAE's bound can be held against a flow's likelihood."""
    rows = np.random.default_rng(0).normal(size=(300, 2))
    found = {}
    for name, scale in (("plain", 1.0), ("fine", 1000.0)):
        np.savetxt(tmp_path / f"{name}.csv", rows * [scale, 1.0], delimiter=",", header="a,b", comments="")
        words = ["dataset=table", f"dataset.file={name}.csv", "figures.enabled=false", f"run_dir={name}", *tiny]
        vae = ["model=vae", "model/likelihood=gaussian", "model.latent=2", "evaluation.fine_images=10"]
        assert genexp("run", *words, *vae, "evaluation.quadrature_side=20")[0] == 0
        found[name] = read_metrics(tmp_path / name)
    for number in ("neg_elbo", "iwae_nll", "iwae_nll_fine", "reconstruction", "quadrature_nll"):
        assert found["fine"][number] - found["plain"][number] == pytest.approx(math.log(1000), abs=1e-3), number
    assert found["fine"]["kl_to_prior"] == pytest.approx(found["plain"]["kl_to_prior"], abs=1e-3)


def test_ten_rows_are_learnt_or_refused(genexp, tiny: list[str], tmp_path: Path) -> None:
    (tmp_path / "ten.csv").write_text("\n".join(f"{i},{i * i},{math.sin(i)}" for i in range(10)))
    for model in ("maf", "normal"):
        words = ["dataset=table", "dataset.file=ten.csv", f"model={model}", f"run_dir={model}", "evaluation.num_samples=50"]
        code, _, err = genexp("run", *tiny, *words, "figures.enabled=false")
        assert code == 0, err


# --- the sets of the MAF paper ---------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder as data.zip holds it, with numbers of our own."""
    random = np.random.default_rng(0)
    for name in ("power", "gas", "hepmass", "miniboone", "BSDS300"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "power" / "data.npy", random.normal(size=(200, 8)) * np.arange(1, 9))
    np.save(tmp_path / "miniboone" / "data.npy", random.normal(size=(200, 43)) + np.arange(43))
    gas = random.normal(size=(200, 11))
    gas[:, 4] = gas[:, 3] + 1e-3 * random.normal(size=200)
    np.savetxt(
        tmp_path / "gas" / "ethylene_CO.csv", gas, delimiter=",", header="Time,Meth,Eth," + ",".join("abcdefgh"), comments=""
    )
    for part, more in (("train", 0), ("test", 1)):
        x = np.concatenate([np.arange(300)[:, None] % 2, random.normal(size=(300, 4 + more))], axis=1)
        x[:, 2] = np.where(x[:, 2] < 0, 0.0, x[:, 2])  # values that come again and again
        names = "# label," + ",".join(f"f{index}" for index in range(4))
        np.savetxt(tmp_path / "hepmass" / f"1000_{part}.csv", x, delimiter=",", header=names, comments="")
    return tmp_path


def test_the_tables_of_the_paper_are_prepared_as_there(archive: Path) -> None:
    sizes = {"power": (162, 18, 20, 6), "gas": (162, 18, 20, 7), "hepmass": (135, 15, 150, 3), "miniboone": (162, 18, 20, 43)}
    for name, (train, validation, test, dim) in sizes.items():
        data = UCI(archive, table=name)  # type: ignore[arg-type]
        assert (len(data.train), len(data.validation), len(data.test)) == (train, validation, test)
        assert data.spec.shape == (dim,)
        fitted = torch.cat([data.train.x, data.validation.x, *([data.test.x] if name == "gas" else [])]).double()
        assert float(fitted.mean(0).abs().max()) < 1e-6
        assert float((fitted.std(0, correction=int(name in ("gas", "hepmass"))) - 1).abs().max()) < 1e-6


def test_a_file_of_the_paper_that_is_broken_is_refused_in_one_line(archive: Path) -> None:
    np.savez(archive / "packed.npz", np.zeros((9, 43)))
    packed = (archive / "packed.npz").read_bytes()
    for content in (b"", packed, packed[:100]):
        (archive / "miniboone" / "data.npy").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            UCI(archive, table="miniboone")


def test_bsds300_as_it_is(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {name: np.random.default_rng(0).normal(size=(5, 63)) for name in ("train", "validation", "test")}

    class File(dict[str, np.ndarray]):
        def __init__(self, path: Path, mode: str) -> None:
            super().__init__(parts)

        def __enter__(self) -> "File":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    (archive / "BSDS300" / "BSDS300.hdf5").touch()
    monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=File))  # type: ignore[arg-type]
    assert np.allclose(UCI(archive, table="bsds300").test.x, parts["test"])
    monkeypatch.setitem(sys.modules, "h5py", None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="HDF5"):
        UCI(archive, table="bsds300")


def test_a_table_of_the_paper_that_is_not_there_says_where_to_get_it(archive: Path) -> None:
    (archive / "power" / "data.npy").unlink()
    (archive / "gas" / "ethylene_CO.csv").rename(archive / "gas" / "ethylene_CO.pickle")
    with pytest.raises(UserError) as refused:
        UCI(archive, table="power")
    assert "is not there" in refused.value.message
    assert "zenodo" in str(refused.value.hint)
    with pytest.raises(UserError) as refused:
        UCI(archive, table="gas")
    assert "read_pickle" in str(refused.value.hint)
    np.save(archive / "miniboone" / "data.npy", np.zeros(3))
    with pytest.raises(UserError, match="no table of numbers"):
        UCI(archive, table="miniboone")


# --- whitened flows --------------------------------------------------------------------------------------------------


def test_a_whitened_flow_is_a_bijection_that_begins_at_the_best_gaussian() -> None:
    torch.manual_seed(0)
    mixing = torch.randn(3, 3, dtype=torch.float64)
    x = (torch.randn(500, 3, dtype=torch.float64) @ mixing + 5) * torch.tensor([1e-3, 1.0, 50.0])
    data = table_like(x)
    flow: Any = models.build({"name": "linear_flow", "normalise": "whiten"}, data.spec).double()
    flow.initialise(data.examples(500, 0))
    z, log_det = flow.transform(x)
    assert torch.allclose(torch.cov(z.T, correction=0), torch.eye(3, dtype=torch.float64), atol=1e-6)
    normal: Any = models.build({"name": "normal", "ridge": 0.0}, data.spec).double()
    normal.initialise(data.examples(500, 0))
    assert torch.allclose(flow.log_prob(x), normal.log_prob(x), atol=1e-6)
    shaken(flow)
    z, log_det = flow.transform(x[:4])
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda x: flow.transform(x[None])[0][0], each) for each in x[:4]])
    assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, log_det)
    back, other = flow.inverse(z)
    assert torch.allclose(back, x[:4])
    assert torch.allclose(other, -log_det)
    assert torch.allclose(flow.layers(z)[-1], x[:4])


def table_like(x: Tensor) -> PointData:
    data = PointData()
    data.parts(PointSet(x), PointSet(x), PointSet(x))
    return data
