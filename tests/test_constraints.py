"""The five constraints on a generative model: which number stands for each, and why none does; how different samples are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from genexp.capabilities import Needs, known_of
from genexp.compare.comparison import compare
from genexp.compare.constraints import by_constraints, reasons_of
from genexp.config.composition import compose
from genexp.data.normal import Normal
from genexp.folder.records import Record
from genexp.measures.constraints import WITHOUT, lacking, missing
from genexp.measures.diversity import distinct, spread
from genexp.measures.record import CONSTRAINTS, Measure, measures
from genexp.report.constraints import constraints
from genexp.report.gather import pair_up
from genexp.runs.words import Words, words_of
from genexp.subject import Subject
from tests.subjects import taken

WORDS = {
    "bits": {"meaning": "bits", "headline": 39, "constraint": "likelihood"},
    "nll": {"meaning": "nats", "headline": 40, "constraint": "likelihood"},
    "precision": {"meaning": "share", "headline": None, "constraint": "resemblance"},
    "kl": {"meaning": "nats", "headline": 1},
}


def record(name: str, metrics: dict[str, Any], said: dict[str, Any] | None = None) -> Record:
    words = {"measures": WORDS, "pictures": {}, "missing": said or {}}
    return Record(Path(name), {"status": "finished", "words": words}, {"seed": name}, (), metrics)


def test_the_number_that_a_run_is_judged_by_sooner_stands_for_a_constraint() -> None:
    words = Words(WORDS)
    assert words.standing("likelihood", {"nll": 2.0, "bits": 1.0, "kl": 0.0, "nll/draw": 0.0}) == "bits"
    assert words.standing("likelihood", {"nll": 2.0, "bits": None, "kl": 0.0}) == "nll"
    assert words.standing("novelty", {"nll": 2.0, "kl": 0.0}) is None


def test_every_constraint_has_measures_and_each_of_those_a_constraint_that_there_is() -> None:
    assert {each.constraint for each in measures.all() if each.constraint} == {*CONSTRAINTS}


def test_compare_has_five_columns_and_says_what_is_missing() -> None:
    runs = [
        record("a", {"nll": 2.5, "floor/nll": 2.0, "precision": 0.5}, {"novelty": "all examples are new", "coverage": 7}),
        record("b", {"bits": 1.25, "precision": None}, {"resemblance": "too few", "likelihood": "not so"}),
    ]
    table, reasons = by_constraints(compare(runs, each=True))
    assert list(table.header) == ["run", *CONSTRAINTS]
    first, second = table.rows
    assert list(first) == ["a", "0.5 precision", "—", "2.5 nll (floor 2)", "—", "—"]
    assert list(second) == ["b", "—", "—", "1.25 bits", "—", "—"]
    assert reasons == ["novelty —: all examples are new", "resemblance —: too few"]


def test_seeds_are_averaged_there_too() -> None:
    said = {"status": "finished", "words": {"measures": WORDS, "pictures": {}}}
    runs = [Record(Path(str(seed)), said, {"lr": 1, "seed": seed}, (), {"nll": 2.0 + seed}) for seed in (0, 1)]
    table, _ = by_constraints(compare(runs))
    assert table.rows[0][3] == "2.50 ± 0.71 nll"


@pytest.mark.parametrize("said", [None, 3, [], {"missing": 3}, {"missing": {"novelty": 3, "other": "x", 5: "y"}}])
def test_what_a_stranger_says_of_it_is_text_or_nothing(said: Any) -> None:
    assert reasons_of({"words": said}) == {}
    assert len(reasons_of({"words": {"missing": {"novelty": "x" * 9999}}})["novelty"]) == 200


def test_the_report_has_a_number_or_a_reason_for_each() -> None:
    runs: list[Any] = [
        SimpleNamespace(numbers=pair_up(each.metrics), words=words_of([each]), missing=reasons_of(each.run))
        for each in (record("a", {"nll": 2.5, "floor/nll": 2.0}, {"novelty": "all are new"}), record("b", {"kl": 1.0}))
    ]
    found = {each.name: each.cells for each in constraints(runs)}
    assert list(found) == list(CONSTRAINTS)
    number = found["likelihood"][0].number
    assert number is not None
    assert (number.name, number.value, number.beside) == ("nll", 2.5, {"floor": 2.0})
    assert found["novelty"][0].reason == "all are new"
    assert "no number" in found["novelty"][1].reason
    assert constraints(runs[1:]) == []


def case(can: set[str], knows: set[str]) -> Any:
    return SimpleNamespace(can=can, knows=known_of(knows), objective="other", draw="")


def test_why_there_is_none_is_the_need_that_is_not_met() -> None:
    subject = case({"sample"}, {"points"})
    found = missing(subject, {"c2st": 0.5, "diversity": None})
    assert set(found) == set(CONSTRAINTS) - {"resemblance"}
    assert found["stochasticity"] == "diversity has no value here"
    assert found["novelty"] == "there is no fixed set of training examples"
    assert found["likelihood"] == "the model gives neither ln p(x) nor a bound of it"
    subject.knows |= {"examples", "pictures"}
    assert "novelty" not in missing(subject, {"nearest_train_ratio": 1.0})


def test_the_reason_is_of_the_measure_that_is_nearest_to_applying() -> None:
    """A flow of a density without examples has a likelihood, and nothing to take it of; a picture needs no codes to have one."""
    flow = {"sample", "exact", "layers"}
    target = missing(case(flow, {"target", "points", "log_density", "lattice"}), {})
    assert target["likelihood"] == target["stochasticity"] == "there are no examples: the data are given as a density"
    assert target["resemblance"] == "the integral of the density, Z, is not known"
    assert missing(case(flow, {"target", "points", "log_density", "log_z"}), {})["resemblance"].startswith("reverse_kl is taken")
    pictures = missing(case({"sample", "latents"}, {"pictures", "examples"}), {})
    assert pictures["likelihood"] == "the model gives neither ln p(x) nor a bound of it"


def test_each_need_of_what_stands_for_a_constraint_has_its_plain_words() -> None:
    ours = [each for each in measures.all() if each.constraint and each.function.__module__.startswith("genexp.")]
    needs = {need.partition("|")[0] for each in ours for need in (*each.needs.model, *each.needs.data)}
    assert needs <= {*WITHOUT}
    assert not [said for said in WITHOUT.values() if set(said) & set("“_") or len(said) > 70]
    assert lacking(Measure("mine", "x", lambda _: None, needs=Needs.of(["smooth|exact"])), case(set(), set())) == (
        "mine needs “smooth” or “exact”"
    )


# --- how different samples are ---------------------------------------------------------------------------------


class Clouds:
    """A model whose samples are given."""

    can, objective = frozenset({"sample"}), "other"
    device = torch.device("cpu")

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def sample(self, n: int) -> Tensor:
        return self.x[:n]


def diversity(x: Tensor) -> dict[str, Any]:
    data = Normal(Path(), mean=[0.0, 0.0], correlation=0.0)
    settings = compose(["experiment=double_gaussian", f"evaluation.num_samples={len(x)}"]).settings
    return taken(Subject(Clouds(x), data, settings, torch.device("cpu")), "diversity")


def test_samples_that_are_all_alike_and_those_that_are_as_different_as_the_data() -> None:
    noise = torch.randn(800, 2, generator=torch.Generator().manual_seed(0))
    right = diversity(noise)
    assert right["diversity"] == pytest.approx(1, abs=0.1)
    assert right["real_vs_real/diversity"] == pytest.approx(1, abs=0.1)
    assert right["diversity/distinct"] == right["real_vs_real/diversity/distinct"] == right["exact/diversity"] == 1
    assert diversity(3 * noise)["diversity"] == pytest.approx(3 * right["diversity"], rel=1e-6)
    alike = diversity(torch.ones(800, 2))
    assert alike["diversity"] == alike["diversity/distinct"] == 0
    few = diversity(noise[:20].repeat(40, 1))
    assert few["diversity/distinct"] == 0
    assert few["diversity"] > 0.5  # far from each other, and yet the same twenty


def test_spread_is_of_pairs_of_one_class_and_never_of_one_with_itself() -> None:
    x = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
    assert spread(x[:2]) == 1
    assert spread(x, torch.tensor([0, 0, 1, 1])) == 1.5
    assert spread(x) == pytest.approx((1 + 10 + 12 + 9 + 11 + 2) / 6)
    assert spread(x, torch.arange(4)) is None
    assert spread(x[:1]) is None
    assert spread(torch.tensor([[0, 255], [255, 255]], dtype=torch.uint8)) == 1  # bytes count as k/255
    assert spread(torch.tensor([[1, 2, 3], [1, 7, 9]])) == 2  # symbols that differ
    assert distinct(torch.tensor([[1, 2], [1, 2], [3, 4], [5, 6]])) == 0.5
