"""What to try next: each rule speaks when it should and is silent when not, and what it says can be typed."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from genexp.cli import main
from genexp.config.composition import compose, compose_stored
from genexp.folder.records import Record
from genexp.measures.suggestion import Case, rules, suggestions
from genexp.report.advice import advice, kept

FALLING = [3.0, 2.5, 2.2, 2.0, 1.85, 1.7]
STILL = [3.0, 2.1, 2.0, 2.0, 2.0, 2.0]
ROSE = [3.0, 2.0, 1.9, 2.1, 2.4, 2.6]


def history(heldout: list[float], loss: list[float] | None = None) -> list[dict[str, float]]:
    """Of a training by gradients: the held-out loss, and the training loss, which is the same if not given."""
    lines: list[dict[str, float]] = []
    for step, value in enumerate(loss or heldout, 1):
        lines.append({"step": step, "seconds": step, "loss": value, "lr": 1e-3})
    return lines + [{"step": step, "seconds": step, "heldout/loss": value} for step, value in enumerate(heldout, 1)]


@dataclass(frozen=True)
class Tried:
    """A rule, a run that it speaks of and what to type then; `well`: numbers of the same run by which it is silent."""

    rule: str
    run: str
    numbers: Mapping[str, Any]
    words: str
    well: Mapping[str, Any]
    heldout: list[float] = field(default_factory=lambda: STILL)
    loss: list[float] | None = None
    well_heldout: list[float] = field(default_factory=lambda: STILL)
    device: str = "cpu"
    few: bool = False  # whether it was trained on a finite set of examples


FLOW, VAE, TEXT = "experiment=double_gaussian", "experiment=glyphs_vae", "experiment=text_transformer"
CASES = [
    Tried("gentler_steps", FLOW, {}, "trainer.clip_norm=1 trainer.lr=0.00333", {}, loss=[3, 2, 1, 1, 9, 1, 1, 1, 1]),
    Tried("more_steps", f"{FLOW} trainer.max_steps=500", {}, "trainer.max_steps=1000", {}, heldout=FALLING),
    Tried(
        "less_by_heart",
        f"{TEXT} model.dropout=0",
        {"best_step": 2, "steps": 6},
        "model.dropout=0.1",
        {"best_step": 5, "steps": 6},
        heldout=ROSE,
        loss=FALLING,
        few=True,
    ),
    Tried("annealed_rate", f"{FLOW} trainer.schedule=constant", {}, "trainer.schedule=cosine", {}, well_heldout=FALLING),
    Tried("half_the_bits", FLOW, {}, "trainer.precision=auto", {}, device="cuda:0"),
    Tried(
        "longer_chains", "experiment=hmc model.draws=1000", {"r_hat": 1.2}, "model.burn_in=400 model.draws=2000", {"r_hat": 1.004}
    ),
    Tried("larger_model", FLOW, {"kl": 0.2, "floor/kl": 0.0}, "model.depth=6", {"kl": 0.001, "floor/kl": 0.0}),
    Tried(
        "finer_solver",
        "",
        {"nll_discretisation": 0.05, "nll_error": 0.01},
        "model.solver.evaluations=80",
        {"nll_discretisation": 0.005, "nll_error": 0.01},
    ),
    Tried("free_bits", f"{VAE} model.latent=20", {"active_units": 3}, "model.objective.free_bits=0.1", {"active_units": 18}),
    Tried(
        "richer_posterior",
        VAE,
        {"neg_elbo": 95.0, "iwae_nll": 91.0, "neg_elbo_error": 0.1},
        "model/posterior=iaf",
        {"neg_elbo": 95.0, "iwae_nll": 94.8, "neg_elbo_error": 0.1},
    ),
    Tried("fewer_codes", "experiment=mnist_vq", {"perplexity": 10}, "model.codes=64", {"perplexity": 100}),
    Tried(
        "find_the_modes",
        "experiment=many_well_flow model/objective=reverse_kl model.objective.path_gradient=true",
        {"ess": 0.9, "modes_found": 1, "exact/modes_found": 4},
        "model/objective=fab",
        {"ess": 0.9, "modes_found": 4, "exact/modes_found": 4},
    ),
    Tried(
        "longer_annealing",
        "experiment=energy_landscape",
        {"energy_gap": 6.0, "energy_gap_error": 0.2},
        "model.annealing=120 model.settling=40",
        {"energy_gap": 0.3, "energy_gap_error": 0.2},
    ),
    Tried("until_it_scans", "trainer.max_steps=50", {"scannable": 0}, "trainer.max_steps=200", {"scannable": 1}),
    Tried("until_it_scans", "experiment=qr_plain", {"scannable": 0}, "model/field=random", {"scannable": 1}),
    Tried(
        "learnt_noise",
        "experiment=fruit_vae",
        {"bits_per_dim": 8.8, "baseline/bits_per_dim": 4.8},
        "model.likelihood.learn_sigma=true model.objective.beta=1",
        {"bits_per_dim": 4.7, "baseline/bits_per_dim": 4.8},
    ),
    Tried(
        "worse_than_simple",
        f"{FLOW} trainer.max_steps=400",
        {"nll": 3.5, "baseline/nll": 3.34, "nll_error": 0.01},
        "trainer.lr=0.00333 trainer.max_steps=1200",
        {"nll": 3.36, "baseline/nll": 3.34, "nll_error": 0.01},
    ),
    Tried(
        "another_family",
        "experiment=landscape dataset=two_moons model=elementwise_flow",
        {"kl": 0.4, "floor/kl": 0.0},
        "model=spline_coupling",
        {"kl": 0.001, "floor/kl": 0.0},
    ),
    Tried(
        "fewer_components",
        "experiment=gmm_overfit model.components=40",
        {"train_nll": 2.0, "nll": 2.5, "nll_error": 0.01},
        "model.components=20,10,5,2,1",
        {"train_nll": 2.49, "nll": 2.5, "nll_error": 0.01},
    ),
    Tried(
        "dropout",
        f"{TEXT} model.dropout=0.1",
        {"nll_train": 187.0, "nll": 295.0, "nll_error": 3.0},
        "model.dropout=0.2",
        {"nll_train": 290.0, "nll": 295.0, "nll_error": 3.0},
    ),
]


@cache
def config(words: str) -> dict[str, Any]:
    return compose(words.split()).settings.model_dump(mode="json")  # type: ignore[no-any-return]


@pytest.mark.parametrize("tried", CASES, ids=lambda tried: tried.rule)
def test_a_rule_speaks_when_it_should(tried: Tried) -> None:
    rule = next(rule for rule in rules.all() if rule.name == tried.rule)
    digest = {"origin": "ab", "examples": "cd" if tried.few else None}
    about = {"device": tried.device, "data": {"shape": [2], "digest": digest}}
    bad = Case(tried.numbers, history(tried.heldout, tried.loss), config(tried.run), about)
    said = rule.function(bad)
    assert said is not None
    assert said.words == tuple(tried.words.split())
    assert said.why.endswith((".", "on."))
    assert said in suggestions(bad)
    if not said.goes_on:
        words = [*kept(tried.run.split(), said.words), *(word for word in said.words if "," not in word)]
        assert compose(words).settings  # what is typed is understood
    assert rule.function(Case(tried.well, history(tried.well_heldout), config(tried.run), {"device": "cpu"})) is None
    assert rule.function(Case({}, [], {}, {})) is None  # and of a folder without anything


def said_of(numbers: Mapping[str, Any], words: str, **more: Any) -> list[tuple[str, ...]]:
    return [each.words for each in suggestions(Case(numbers, more.pop("history", history(STILL)), config(words), more))]


def test_a_rise_is_learning_by_heart_only_of_few_examples_beyond_chance_while_the_training_loss_falls() -> None:
    numbers, few = {"best_step": 3, "steps": 6}, {"data": {"digest": {"examples": "cd"}}}
    hidden = ("model.dropout=0.1",)
    assert hidden in said_of(numbers, f"{TEXT} model.dropout=0", history=history(ROSE, FALLING), **few)
    assert hidden not in said_of(numbers, f"{TEXT} model.dropout=0", history=history(ROSE, FALLING))  # of examples drawn anew
    assert hidden not in said_of(numbers, f"{TEXT} model.dropout=0", history=history(ROSE), **few)  # the training loss rises too
    chance = [3.0, 2.0, 1.9, 2.1, 1.98, 2.05]  # as the φ⁴ flow's: it rises by hardly more than it falls by on the way
    assert hidden not in said_of(numbers, f"{TEXT} model.dropout=0", history=history(chance, FALLING), **few)


def test_a_larger_model_is_no_cure_for_examples_learnt_by_heart_or_for_a_lost_mode() -> None:
    by_heart = {"ess": 0.026, "kl": 73.0, "floor/kl": 0.0, "train_nll": 0.88, "nll": 75.4, "nll_error": 2.3}
    assert said_of(by_heart, "experiment=gmm_overfit") == [("model.components=75,37,18,9,4",), ("trainer.schedule=cosine",)]
    lost = {"kl": 1.49, "floor/kl": 0.0, "modes_found": 1, "exact/modes_found": 2}
    assert said_of(lost, "experiment=double_well") == [("model/objective=fab",)]
    line = {"data": {"shape": [1]}}  # of one number a product of marginals is no restriction
    numbers = {"kl": 0.4, "floor/kl": 0.0}
    assert ("model.depth=2",) in said_of(numbers, "experiment=landscape model=elementwise_flow", **line)


def test_several_sizes_are_a_sweep(tmp_path: Path) -> None:
    numbers = {"train_nll": 0.88, "nll": 75.4, "nll_error": 2.3}
    (found,) = advice(record(tmp_path, "experiment=gmm_overfit", metrics=numbers))
    assert found.command == "genexp run -m experiment=gmm_overfit model.components=75,37,18,9,4"


def annealed(heldout: list[float]) -> Case:
    """A training whose rate falls along a cosine, with a held-out loss at each of equal stretches."""
    n = len(heldout)
    rates = [{"step": step, "lr": (1 + math.cos(math.pi * step / n)) / 2} for step in range(1, n + 1)]
    return Case({}, rates + [{"step": step, "heldout/loss": loss} for step, loss in enumerate(heldout, 1)])


def test_a_fall_that_annealing_explains_asks_for_no_longer_training() -> None:
    """At a high rate a loss stands on the noise of the steps; what it falls by as the rate goes to zero is that noise."""
    noise = [0.5 * math.cos(math.pi * step / 40) ** 2 if step < 20 else 0.0 for step in range(1, 21)]
    stands = [2.0 + math.exp(-step) for step in range(1, 21)]
    explained = annealed([loss + of for loss, of in zip(stands, noise, strict=True)])
    assert explained.annealed
    assert not explained.falling
    assert Case({}, [{**line, "lr": 1.0} if "lr" in line else line for line in explained.history]).falling  # of a constant rate
    slow = annealed([2.0 + math.exp(-step / 12) for step in range(1, 21)])
    assert slow.falling
    assert not annealed([2.0 + math.exp(-step / 12) for step in range(1, 6)]).falling  # too few to tell
    late = [2.0 + math.exp(-step) + 0.01 * (20 - step) for step in range(1, 21)]  # a tenth of the fall in the last quarter
    assert Case({}, history(late)).falling
    assert not annealed(late).falling
    rough = [2.0 + math.exp(-step / 12) + 0.6 * (step % 2) for step in range(1, 21)]
    assert not annealed(rough).falling
    assert not Case({}, history(rough)).falling


def test_every_rule_is_tried() -> None:
    ours = {rule.name for rule in rules.all() if rule.function.__module__.startswith("genexp.")}
    assert ours == {tried.rule for tried in CASES}


def record(path: Path, words: str, **more: Any) -> Record:
    given = {"run": {"status": "finished"}, "metrics": {}} | more
    return Record(path=path, config=config(words), overrides=tuple(words.split()), **given)


def test_advice_is_whole_lines_of_which_no_two_change_the_same(tmp_path: Path) -> None:
    typed = f"{FLOW} seed=3 trainer.max_steps=400 trainer.lr=2e-3"
    (tmp_path / "history.jsonl").write_text("\n".join(map(str, history(FALLING))).replace("'", '"'))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config(typed)))
    found = advice(record(tmp_path, typed, metrics={"nll_discretisation": 0.3}))
    assert [each.command for each in found] == [f"genexp resume {tmp_path} trainer.max_steps=800"]
    assert compose_stored(tmp_path, ["trainer.max_steps=800"]).settings.trainer.max_steps == 800
    (tmp_path / "history.jsonl").write_text("\n".join(map(str, history(STILL))).replace("'", '"'))
    found = advice(record(tmp_path, typed, metrics={"kl": 0.3, "floor/kl": 0.0}))
    assert found[0].command == f"genexp run {typed} model.depth=6"
    found = advice(record(tmp_path, typed, metrics={"kl": 1e-4, "floor/kl": 0.0}))
    assert [each.command for each in found] == [
        "genexp run -m experiment=double_gaussian trainer.max_steps=400 trainer.lr=2e-3 'seed=range(1,4)'"
    ]


def test_a_strangers_run_puts_nothing_into_the_line(tmp_path: Path) -> None:
    """Neither options nor Hydra's own keys nor what is no key; a run of plugins gets no advice."""
    words = ["--plugin=evil.py", "hydra.run.dir=/", "x; rm -rf /", "run_dir=/etc", FLOW]
    assert kept(words, ("seed=1",)) == [FLOW]
    assert kept(["model=planar", "model.depth=3", "trainer.lr=1", "seed=2"], ("model=maf",)) == ["seed=2"]
    assert advice(record(tmp_path, FLOW, run={"status": "finished", "plugins": ["evil.py"]})) == []
    assert advice(record(tmp_path, FLOW, run={"status": "running"})) == []
    odd = Record(path=tmp_path, config=config(FLOW), overrides=(FLOW, "nonsense=1"), run={"status": "finished"})
    assert advice(odd) == []  # what does not compose is not suggested


def test_a_run_that_stopped_goes_on_first_where_anything_was_saved(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config(FLOW)))
    (tmp_path / "history.jsonl").write_text("\n".join(map(str, history(FALLING))).replace("'", '"'))
    for status in ("interrupted", "killed"):
        stopped = record(tmp_path, FLOW, run={"status": status})
        assert advice(stopped)[0].command != f"genexp resume {tmp_path}"
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / "last.pt").touch()
        assert [each.command for each in advice(stopped)] == [f"genexp resume {tmp_path}"]  # and not once more with other words
        (tmp_path / "checkpoints" / "last.pt").unlink()


def test_the_line_is_the_commands_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [each.command for each in advice(record(tmp_path, FLOW, metrics={"kl": 0.3, "floor/kl": 0.0}))]
    program, *arguments = shlex.split(line)
    assert (program, main([*arguments, "--cfg"])) == ("genexp", 0)
    assert "depth: 6" in capsys.readouterr().out
