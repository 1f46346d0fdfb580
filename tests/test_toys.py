"""`genexp bench toys`: the table of every exact model on every known density in the plane."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genexp.bench import toys
from genexp.bench.toys import request
from genexp.folder.records import Record
from tests.conftest import TINY


def test_a_sweep_is_asked_for_seed_after_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys, "known_planes", lambda: {"uniform": {}, "rings": {}})
    monkeypatch.setattr(toys, "exact_models", lambda found: ["maf", "normal"])
    words = request(20.0, (0, 1), ["model=normal", "trainer.lr=1e-4"])
    assert [word for word in words if "," in word] == ["seed=0,1", "dataset=uniform,rings"]
    assert words.index("model=normal") > words.index("seed=0,1")
    assert "trainer.max_seconds=20" in words
    assert words[-1] == "trainer.lr=1e-4"  # after what the table sets
    assert "sweep.skip_finished=true" in words


@pytest.mark.parametrize(("values", "shown"), [([8.0, 1.0, 3.0], "3"), ([1.0, 2.0, 9.0, 4.0], "3"), ([1.0, 3.0], "2"), ([], "—")])
def test_a_cost_is_the_median_of_all_runs_of_a_row(values: list[float], shown: str) -> None:
    """Of an even number the mean of the two in the middle, and not the upper one."""
    runs = [Record(Path(), {}, metrics={"seconds_density": value}) for value in values]
    assert toys._median([*runs, Record(Path(), {})], "seconds_density") == shown


@pytest.mark.slow
def test_the_table_says_what_is_missing_and_is_gone_on_with(genexp: Callable[..., Any], tmp_path: Path) -> None:
    few = [word for word in TINY if not word.startswith("trainer.max_steps")]
    typed = ["bench", "toys", "--seconds", "1", "--seeds", "0,1", "model=normal", "dataset=uniform,double_well", *few]
    code, out, _ = genexp(*typed)
    assert code == 2  # of what cannot be trained
    table = out[out.rindex("KL(data ‖ model) in nats") :].splitlines()
    assert "mean ± sd over 2 seeds; 1 s of training each" in table[0]
    assert table[3] == "|  | uniform | double_well | seconds_density | seconds_sample |"
    name, uniform, well, density, sample = (cell.strip() for cell in table[5].strip("|").split("|"))
    assert (name, well) == ("normal", "—")
    assert float(uniform.split(" ± ")[0]) == pytest.approx(0.353, abs=0.01)  # ½ ln(2πe/3 · …) of the best Gaussian, twice
    assert float(density) > 0
    assert float(sample) > 0
    assert "| *best* | *normal* | *—* |" in table[6]
    assert sum("the model learns from examples" in line for line in table[7:]) == 2
    (written,) = tmp_path.glob("outputs/sweeps/*/toys.md")
    assert written.read_text().splitlines() == table[: len(written.read_text().splitlines())]
    code, out, _ = genexp(*typed)
    assert "2 of 4 jobs to do" in out


@pytest.mark.slow
def test_models_and_data_are_those_of_the_registry() -> None:
    found = toys.known_planes()
    assert {"two_moons", "checkerboard", "uniform", "double_gaussian"} <= {*found}
    assert not {"qr", "mnist", "double_well"} & {*found}
    assert {"maf", "normal", "flow_matching"} <= {*toys.exact_models(found)}


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (["bench", "toys", "--seeds", "a,b"], "a,b is no list of seeds"),
        (["bench", "maf", "--seeds", "1"], "--seeds says nothing but of toys"),
        (["bench", "toys", "--scaling"], "--scaling says nothing of toys"),
        (["bench", "toys", "--repeat", "2"], "--repeat says nothing of toys"),
    ],
)
def test_mistakes(genexp: Callable[..., Any], typed: list[str], error: str) -> None:
    code, _, err = genexp(*typed)
    assert code == 2
    assert error in err
