"""Pictures made into zeros and ones: each drawn by its grey; and the numbers say which draw they are of."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.data.binarise import bits_of
from genexp.data.images import ImageData, ImageSet
from genexp.errors import UserError
from genexp.measures.floors import floor_of_bits
from genexp.registry import datasets, models
from genexp.runs.words import Words

NAMES = ("mnist", "fashion_mnist", "glyphs", "digits")
FEW = {"glyphs": {"count": 60, "validation": 20, "test": 20}}


def built(name: str, folder: Path, binarise: str):
    return datasets.build({"name": name, "binarise": binarise, **FEW.get(name, {})}, folder)


def test_a_bit_is_one_as_often_as_its_grey_says() -> None:
    greys = torch.arange(256, dtype=torch.uint8).expand(20_000, 256).clone()
    bits = bits_of(greys, 3)
    assert bits.unique().tolist() == [0, 255]
    share, grey = (bits > 0).double().mean(0), torch.arange(256) / 255
    assert bool(((share - grey).abs() <= 5 * (grey * (1 - grey) / len(greys)).sqrt()).all())  # exactly so of black and white
    assert torch.equal(bits, bits_of(greys, 3))
    assert not torch.equal(bits, bits_of(greys, 4))


@pytest.mark.parametrize("name", NAMES)
def test_dynamic_draws_anew_in_training_and_once_to_measure(name: str, data_folder: Path) -> None:
    data, greys = built(name, data_folder, "dynamic"), built(name, data_folder, "none")
    assert (data.spec.kind, greys.spec.kind) == ("bits", "unit")
    stream = data.train_stream(len(data.train), 5)
    epochs = [batch.x[batch.x.flatten(1).double().sum(1).argsort()] for batch in (stream.next() for _ in range(2))]
    assert epochs[0].unique().tolist() == [0, 1]
    assert not torch.equal(*epochs)
    assert float(torch.stack(epochs).mean()) == pytest.approx(float(greys.train.batch().x.mean()), rel=0.02)
    again = built(name, data_folder, "dynamic")
    for part in ("validation", "test"):
        drawn, own = getattr(data, part), getattr(greys, part)
        assert torch.equal(drawn.x, getattr(again, part).x)
        assert torch.equal(drawn[:5].greys, own.x[:5])
        assert bool((drawn.x[own.x == 0] == 0).all() and (drawn.x[own.x == 255] == 255).all())


def test_what_a_dynamic_stream_gives_is_on_average_the_grey(data_folder: Path) -> None:
    data = built("glyphs", data_folder, "dynamic")
    one = ImageSet(data.train.x[:1], data.train.label[:1], data.train.greys[:1])
    data.train = one
    stream = data.train_stream(1, 0)
    mean = torch.stack([stream.next().x[0] for _ in range(2_000)]).double().mean(0)
    grey = one.greys[0].double() / 255
    assert bool(((mean - grey).abs() <= 5 * (grey * (1 - grey) / 2_000).sqrt()).all())


@pytest.mark.parametrize("binarise", ["dynamic", "static"])
def test_a_stream_of_bits_goes_on_bit_for_bit(binarise: str, data_folder: Path) -> None:
    stream = built("glyphs", data_folder, binarise).train_stream(7, 5)
    for _ in range(11):
        stream.next()
    resumed = built("glyphs", data_folder, binarise).train_stream(7, 5)
    resumed.load_state_dict(stream.state_dict())
    assert all(torch.equal(stream.next().x, resumed.next().x) for _ in range(12))


@pytest.mark.parametrize("binarise", ["dynamic", "static"])
def test_pictures_keep_their_labels_and_no_two_parts_are_drawn_alike(binarise: str) -> None:
    """Those of class k all have the grey 60k + 20."""
    label = torch.arange(4).repeat(50)
    greys = (60 * label + 20).byte().view(-1, 1, 1, 1).expand(-1, 1, 8, 8).clone()
    data, part = ImageData(), ImageSet(greys, label)
    data.parts(part, part, part, ("a", "b", "c", "d"), binarise)  # type: ignore[arg-type]
    assert not torch.equal(data.train.x, data.validation.x)
    assert not torch.equal(data.validation.x, data.test.x)
    batch = data.train_stream(len(label), 0).next()
    assert batch.label is not None
    for k in range(4):
        assert float(batch.x[batch.label == k].mean()) == pytest.approx((60 * k + 20) / 255, abs=0.05)


def test_static_shows_the_same_bits_each_time(data_folder: Path) -> None:
    data = built("glyphs", data_folder, "static")
    assert "not Larochelle's" in data.describe()
    one = data.train_stream(len(data.train), 5)
    first, second = (batch.x[batch.label.argsort(stable=True)] for batch in (one.next(), one.next()))
    sums = [part.flatten(1).sum(1).sort().values for part in (first, second, data.train.batch().x)]
    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])


# --- the floor -------------------------------------------------------------------------------------------------------


def subject_of(test: ImageSet) -> SimpleNamespace:
    settings, knows = SimpleNamespace(seed=0), frozenset({"examples", "pictures"})
    can: frozenset[str] = frozenset()
    device = torch.device("cpu")
    return SimpleNamespace(settings=settings, device=device, can=can, knows=knows, test=test.batch(), test_part=test, found={})


def test_the_floor_is_what_the_greys_themselves_give_the_same_bits() -> None:
    """−mean ln 1/n Σ_j p(b_i|j), term by term."""
    greys = (255 * torch.rand(64, 1, 2, 3, generator=torch.Generator().manual_seed(1))).byte()
    test = ImageSet(greys, None).binarised(2)
    x, bits = greys.double().flatten(1) / 255, test.x.double().flatten(1) / 255
    log_p = bits @ x.log().T + (1 - bits) @ torch.log1p(-x).T
    direct = -(log_p.logsumexp(1) - math.log(64)).mean()
    assert floor_of_bits(subject_of(test)) == pytest.approx(float(direct), abs=0.15)  # of I only the mean over draws is known
    many = ImageSet(greys.repeat(100, 1, 1, 1), None).binarised(2)
    exact = torch.tensor([[(code >> place) & 1 for place in range(6)] for code in range(64)]).double()
    p = (exact @ x.log().T + (1 - exact) @ torch.log1p(-x).T).exp().mean(1)
    assert floor_of_bits(subject_of(many)) == pytest.approx(float(-(p * p.log()).sum()), abs=0.1)  # the entropy of the bits


def test_without_greys_the_floor_is_that_of_distinct_pictures() -> None:
    bits = ImageSet(torch.eye(16, dtype=torch.uint8).mul(255).view(16, 1, 4, 4))
    assert floor_of_bits(subject_of(bits)) == pytest.approx(math.log(16), abs=1e-4)


def test_of_a_class_that_has_one_picture_a_conditional_model_knows_which_will_come() -> None:
    """Then only what its greys leave open is left."""
    greys = (255 * torch.rand(8, 1, 2, 3, generator=torch.Generator().manual_seed(1))).byte()
    subject = subject_of(ImageSet(greys, torch.arange(8)).binarised(2))
    x, bits = greys.flatten(1) / 255, subject.test.x.flatten(1)
    surprise = float(torch.nn.functional.binary_cross_entropy(x, bits, reduction="none").sum(1).mean())
    assert floor_of_bits(subject) > surprise + 0.1
    subject.can, subject.found = frozenset({"classes"}), {}
    assert floor_of_bits(subject) == pytest.approx(surprise, abs=1e-4)


def test_samples_of_zeros_and_ones_are_such() -> None:
    for kind in ("bits", "unit"):
        torch.manual_seed(0)
        keys = {"network": {"name": "linear"}, "likelihood": {"name": "bernoulli"}}
        for name in ("vae", "autoencoder"):
            model = models.build({"name": name, "latent": 2, **keys}, DataSpec((1, 2, 2), kind=kind), Context())  # type: ignore[arg-type]
            whole = torch.isin(model.sample(20), torch.tensor([0.0, 1.0]))
            assert bool(whole.all()) == (kind == "bits")


# --- the names -------------------------------------------------------------------------------------------------------


def test_the_draw_is_in_the_name_of_every_likelihood_and_of_nothing_else(genexp, tiny: list[str], tmp_path: Path) -> None:
    small = ["dataset.count=80", "dataset.validation=30", "dataset.test=30", "figures.enabled=false"]
    code, _, err = genexp("run", "experiment=glyphs_vae", "dataset.binarise=dynamic", "run_dir=a", *tiny, *small)
    assert code == 0, err
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    for name in ("neg_elbo", "iwae_nll", "quadrature_nll"):
        assert name not in metrics
        assert metrics[f"{name}/dynamic"] >= metrics[f"floor/{name}/dynamic"] > 0
    assert {"active_units", "coverage", "heldout_loss"} <= {*metrics}
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    words = Words(record["words"]["measures"])
    assert "ELBO" in words.meaning("neg_elbo/dynamic")
    assert words.first(metrics) == "neg_elbo/dynamic"
    assert words.meaning("neg_elbo/dynamic_error") == "the standard error of neg_elbo/dynamic"
    assert record["data"]["kind"] == "bits"


# --- Larochelle's file -----------------------------------------------------------------------------------------------


def write(folder: Path, rows: list[str]) -> None:
    (folder / "binary_mnist").mkdir(exist_ok=True)
    for part in ("train", "valid", "test"):
        (folder / "binary_mnist" / f"binarized_mnist_{part}.amat").write_text("\n".join(rows) + "\n")


def test_larochelles_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    pixels = torch.randint(2, (3, 784), generator=torch.Generator().manual_seed(0))
    write(tmp_path, [" ".join(map(str, row)) + " " for row in pixels.tolist()])
    data = datasets.build({"name": "binary_mnist"}, tmp_path)
    (tmp_path / "binary_mnist" / "binarized_mnist_valid.amat").write_text("1 " * 784)
    other = datasets.build({"name": "binary_mnist"}, tmp_path)
    assert [len(part) for part in (other.train, other.validation, other.test)] == [3, 1, 3]
    assert torch.equal(data.test.batch().x, pixels.view(3, 1, 28, 28).float())
    assert (data.draw, data.spec.kind, data.test.greys) == ("larochelle", "bits", None)


@pytest.mark.parametrize("rows", [["0 1 1"], ["2 " * 784], ["0.5 " * 784], []])
def test_what_is_no_such_file_is_refused(rows: list[str], tmp_path: Path) -> None:
    write(tmp_path, rows)
    with pytest.raises(UserError, match="zeros and ones"):
        datasets.build({"name": "binary_mnist"}, tmp_path)


def test_what_has_no_greys_is_not_made_into_bits(data_folder: Path) -> None:
    with pytest.raises(UserError, match="binary_mnist/binarized_mnist_train"):
        datasets.build({"name": "binary_mnist"}, data_folder / "nowhere")
    with pytest.raises(UserError, match="colour"):
        datasets.build({"name": "image_folder", "path": str(data_folder / "fruit" / "train"), "binarise": "static"}, data_folder)
    with pytest.raises(UserError, match=r"dataset\.flat=false"):
        datasets.build({"name": "digits", "flat": True, "binarise": "static"}, data_folder)
