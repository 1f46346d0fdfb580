"""New samples from a trained run: the same for the same seed, from the folder alone, in every kind of file."""

import re
import shutil
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genexp.config.composition import compose
from genexp.folder import checkpoint
from genexp.runs.sampling import sampler_of
from genexp.runs.trained import open_run
from genexp.summary import next_steps
from tests.conftest import RUNS


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


@pytest.mark.parametrize("name", RUNS)
def test_the_same_seed_gives_the_same_samples_and_the_first_are_the_same_for_every_number(genexp, runs, name: str) -> None:
    for out, words in (("a", ["--num", "150"]), ("b", ["--num", "70"]), ("c", ["--num", "70", "--seed", "1"])):
        code, said, err = genexp("sample", str(runs / name), *words, "--out", f"{out}.npz")
        assert code == 0, err
        assert f"→ {out}.npz" in said
    a, b, c = (arrays(Path(f"{out}.npz"))["samples"] for out in "abc")
    assert a.shape[0] == 150
    assert a.dtype == np.float32
    assert np.array_equal(a[:70], b)
    assert not np.array_equal(b, c)
    assert not np.array_equal(a[:64], a[64:128])  # parts differ


def test_the_line_at_a_runs_end_gives_other_samples_than_its_own(tmp_path: Path) -> None:
    composed = compose(["experiment=double_gaussian", "seed=3"])
    said = next_steps(SimpleNamespace(path=tmp_path), composed)
    assert f"genexp sample {tmp_path} --seed 4 --out more.npz" in said  # the run's own are of seed 3


def test_parts_are_drawn_one_at_a_time(runs: Path) -> None:
    """A number of samples that fits no memory: the first of them come at once."""
    parts = list(islice(sampler_of(open_run(runs / "qr")).stream(10**12, seed=0), 2))
    assert [len(part.x) for part in parts] == [64, 64]


def test_log_likelihoods_are_those_of_the_samples(genexp, runs: Path) -> None:
    assert genexp("sample", str(runs / "gaussian"), "--num", "100", "--log-prob", "--out", "s.npz")[0] == 0
    found = arrays(Path("s.npz"))
    again = open_run(runs / "gaussian").model.double().log_prob(torch.from_numpy(found["samples"]).double())
    assert np.allclose(found["log_prob"], again.detach().numpy(), atol=1e-3)
    assert found["log_prob"].std() > 0.1


def test_a_conditional_model_draws_the_class_it_is_asked_for(genexp, runs: Path) -> None:
    assert genexp("sample", str(runs / "fruit"), "--num", "7", "--out", "all.npz")[0] == 0
    assert genexp("sample", str(runs / "fruit"), "--num", "7", "--class", "bananas", "--out", "one.npz")[0] == 0
    every, one = arrays(Path("all.npz")), arrays(Path("one.npz"))
    assert every["label"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert one["label"].tolist() == [1] * 7
    yellow = one["samples"].mean((2, 3))
    assert (yellow[:, 0] > yellow[:, 2]).all()  # bananas are not blue
    assert not np.allclose(every["samples"][0], one["samples"][0])


@pytest.mark.parametrize("name", [name for name in RUNS if name != "codes"])  # of symbols there is no film
def test_a_picture_and_a_film_of_every_kind_of_model(genexp, runs: Path, name: str) -> None:
    assert genexp("sample", str(runs / name), "--num", "30", "--out", "p.png")[0] == 0
    assert genexp("sample", str(runs / name), "--num", "30", "--out", "f.gif")[0] == 0
    with Image.open("p.png") as picture, Image.open("f.gif") as film:
        assert np.asarray(picture.convert("L")).std() > 0
        assert film.n_frames > 1


def test_a_run_is_sampled_without_its_data(genexp, runs: Path, tmp_path: Path) -> None:
    """The folder alone, moved, with a data set that is no longer there; no file in it changes."""
    run = tmp_path / "moved"
    run.mkdir()
    for file in ("config.yaml", "run.json", "checkpoints/best.pt"):
        (run / file).parent.mkdir(exist_ok=True)
        (run / file).write_bytes((runs / "glyphs" / file).read_bytes())
    config = run / "config.yaml"
    config.write_text(re.sub("^data_dir: .*", "data_dir: gone", config.read_text(), flags=re.MULTILINE))
    assert genexp("sample", "moved", "--num", "3")[0] == 0
    assert sorted(path.name for path in run.rglob("*")) == ["best.pt", "checkpoints", "config.yaml", "run.json"]


@pytest.mark.parametrize(
    ("run", "words", "error"),
    [
        ("qr", ["--out", "here.npz"], "exists already"),
        ("qr", ["--out", "a.pdf"], "a file of which kind?"),
        ("qr", ["--out", "no/such/folder/a.npz"], "there is no folder"),
        ("qr", ["--num", "0"], "at least 1"),
        ("qr", ["--num", "many"], "invalid int value"),
        ("qr", ["--seed", "-1"], "from 0"),
        ("qr", ["--class", "apples"], "not conditional"),
        ("qr", ["--num", "1000000000", "--out", "a.png"], "too many for one picture"),
        ("qr", ["--log-prob", "--out", "a.png"], "goes into an .npz"),
        ("glyphs", ["--log-prob"], "no exact likelihood"),
        ("fruit", ["--class", "banana"], "did you mean 'bananas'?"),
        ("nothing", [], "no run 'nothing'"),
        ("qr", ["--checkpoint", "worst"], "unknown --checkpoint 'worst'"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(genexp, runs: Path, run: str, words: list[str], error: str) -> None:
    Path("here.npz").write_text("mine")
    name = str(runs / run) if run in RUNS else run
    code, _, err = genexp("sample", name, *words)
    assert code == 2
    assert error in err.splitlines()[0]
    assert [path.name for path in Path().iterdir()] == ["here.npz"]
    assert Path("here.npz").read_text() == "mine"


def test_the_last_weights_take_a_last_look_at_the_data_as_the_best_did(runs: Path) -> None:
    """They are the same here, and so is what is fitted to examples when all else is learnt: how often each code comes."""
    best, last = (open_run(runs / "codes", which) for which in ("best", "last"))
    assert best.step == last.step
    assert float(best.model.log_p.std()) > 0
    stored = last.model.state_dict()
    assert all(torch.equal(value, stored[name]) for name, value in best.model.state_dict().items())


def test_the_last_weights_are_others_than_the_best(genexp, runs: Path) -> None:
    """With checkpoint=last they are the running average of last.pt, whatever best.pt has."""
    run = Path(shutil.copytree(runs / "qr", "run"))
    state = checkpoint.load(run / "checkpoints" / "last.pt")
    state["average"] = {name: value + 1 for name, value in state["average"].items()}
    checkpoint.save(run / "checkpoints" / "last.pt", state)
    best, last = (open_run(run, which).model.state_dict() for which in ("best", "last"))
    stored = checkpoint.load(run / "checkpoints" / "best.pt")["model"]
    assert best.keys() == last.keys() == stored.keys() == state["average"].keys()
    for name in best:
        assert torch.equal(last[name], state["average"][name])
        assert torch.equal(best[name], stored[name])
