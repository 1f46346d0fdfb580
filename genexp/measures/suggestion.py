"""What to try next: rules that read the numbers, the history and the settings of a run, each beside the measure that it reads.

@suggests(20)
def more_draws(case: Case) -> Suggestion | None:
    r_hat = case.number("r_hat")
    return Suggestion("why", (case.times("model.draws", 2),)) if r_hat is not None and r_hat > 1.01 else None
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from genexp.capabilities import NOTHING, Needs
from genexp.folder.data_digests import read_digests
from genexp.measures.record import Collection, Metric

LARGER = ("depth", "couplings", "components", "codes", "width", "channels", "conditioner.width", "field.width", "network.width")
FINER = ("solver.evaluations", "sampler.evaluations", "solver.steps", "steps")  # of an ODE; below `model.`
LEAST_LOSSES = 4  # held-out losses, of fewer nothing is said
BUDGETS = ("max_steps", "max_epochs", "max_seconds")


@dataclass(frozen=True)
class Suggestion:
    """`why`: what was seen and what it means, in a sentence or two. `words`: what to change, as on the command line. `goes_on`:
    whether the run itself goes on with that, instead of a new one. `more`: True where it asks for a larger model or more of the
    same training; False where that would be no cure, and nobody is to ask for it.
    """

    why: str
    words: tuple[str, ...]
    goes_on: bool = False
    more: bool | None = None


@dataclass(frozen=True)
class Case:
    """A run as its folder has it: metrics.json, history.jsonl, config.yaml and run.json."""

    numbers: Mapping[str, Metric]
    history: Sequence[Mapping[str, float]] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    # --- what was found --------------------------------------------------------------------------------------

    def number(self, name: str) -> float | None:
        """A metric; of pictures that became zeros and ones, that of their draw. None where there is none, or it is a word."""
        for key in (name, f"{name}/{self.setting('dataset.binarise')}"):
            value = self.numbers.get(key)
            if isinstance(value, int | float):
                return float(value)
        return None

    def beside(self, kind: str, name: str) -> float | None:
        """Its `floor`, `exact` value, `baseline`, …"""
        return self.number(f"{kind}/{name}")

    @property
    def dim(self) -> int | None:
        """How many numbers an example is, as run.json tells."""
        data = self.run.get("data")
        shape = data.get("shape") if isinstance(data, Mapping) else None
        return math.prod(shape) if isinstance(shape, list) and all(isinstance(each, int) for each in shape) else None

    @property
    def few_examples(self) -> bool:
        """Whether it was trained on a finite set of examples, as run.json tells, and not on ones drawn anew, or on a density."""
        return read_digests(self.run).examples is not None

    def curve(self, term: str) -> list[float]:
        """The values of a term of the history, in the order of steps."""
        return [float(line[term]) for line in self.history if term in line]

    @property
    def by_gradient(self) -> bool:
        """Whether it was trained by gradients."""
        return any("lr" in line for line in self.history)

    @property
    def falling(self) -> bool:
        """Whether a longer training would go on falling, by the held-out loss; False where that cannot be told.

        A rate that is annealed lets every loss fall to the end, by the noise of the steps that it takes out. There the stretch is
        asked that had at least half of the largest rate: whether its second half had a quarter of the whole fall. Else the end
        itself: whether it is the least loss, and the last quarter of the training had a good part of the fall. Either has to be
        more than the curve rises by chance.
        """
        heldout = self.curve("heldout/loss")
        if not self.by_gradient or len(heldout) < LEAST_LOSSES:
            return False
        fall = heldout[0] - min(heldout)
        if not self.annealed:
            end = heldout[-1 - len(heldout) // 4 :]
            return heldout[-1] <= min(heldout) and 0 < 0.02 * fall < end[0] - end[-1] > 2 * largest_rise(end)
        fast = [float(line["heldout/loss"]) for line in self.history if "heldout/loss" in line and self._is_fast(line)]
        second = fast[-1 - len(fast) // 2 :]
        return len(fast) >= LEAST_LOSSES and 0 < fall / 4 < second[0] - second[-1] > 2 * largest_rise(second)

    @property
    def annealed(self) -> bool:
        """Whether the learning rate ended near zero."""
        rates = self.curve("lr")
        return bool(rates) and rates[-1] < 0.05 * max(rates)

    def _is_fast(self, line: Mapping[str, float]) -> bool:
        """Whether a line of the history is of a step at half of the largest rate or more."""
        rates = [(abs(each["step"] - line["step"]), each["lr"]) for each in self.history if "lr" in each]
        return min(rates)[1] >= max(rate for _, rate in rates) / 2

    # --- what it was set to, and words that change it ---------------------------------------------------------

    def setting(self, key: str) -> Any:
        """A value of the configuration, `model.solver.steps`; None where there is no such key."""
        value: Any = self.config
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def times(self, key: str, factor: float) -> str:
        """`key=value` with so many times the present value, whole where that is; it has to be a number other than 0."""
        value = self.setting(key)
        return f"{key}={max(1, round(factor * value))}" if isinstance(value, int) else f"{key}={factor * value:.3g}"

    def first(self, keys: Sequence[str]) -> str | None:
        """The first of these keys of the model that is set to a number above 0."""
        found = (f"model.{key}" for key in keys)
        return next((key for key in found if _positive(self.setting(key))), None)

    def larger(self) -> tuple[str, ...]:
        """A model of twice the size, in the measure that it has; nothing where no such key is known."""
        key = self.first(LARGER)
        return (self.times(key, 2),) if key else ()

    def finer(self) -> tuple[str, ...]:
        """An ODE in twice as many steps; nothing where it has none."""
        if _positive(self.setting("model.solver.tolerance")):
            return (self.times("model.solver.tolerance", 0.1),)
        key = self.first(FINER)
        return (self.times(key, 2),) if key else ()

    def longer(self, factor: float = 2) -> tuple[str, ...]:
        """So many times the budget of the training."""
        keys = [f"trainer.{name}" for name in BUDGETS]
        return tuple(self.times(key, factor) for key in keys if _positive(self.setting(key)))


def largest_rise(losses: Sequence[float]) -> float:
    """From one value to the next: what a curve that should fall does by chance."""
    return max([after - before for before, after in pairwise(losses)], default=0.0)


def largest_fall(losses: Sequence[float]) -> float:
    """From one value to the next: what a curve that should rise does by chance."""
    return largest_rise([-loss for loss in losses])


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


@dataclass(frozen=True)
class Rule:
    """function: case → what to try, or None where there is no reason to. `urgency`: the less, the sooner it is said."""

    name: str
    function: Callable[[Case], Suggestion | None]
    urgency: int
    needs: Needs = NOTHING


rules: Collection[Rule] = Collection("rule", "genexp.measures")


def suggests(urgency: int) -> Callable[[Callable[[Case], Suggestion | None]], Callable[[Case], Suggestion | None]]:
    """Decorator: a function of a case is a rule."""

    def add(function: Callable[[Case], Suggestion | None]) -> Callable[[Case], Suggestion | None]:
        rules.add(Rule(function.__name__, function, urgency))
        return function

    return add


def suggestions(case: Case) -> list[Suggestion]:
    """Everything that the rules have to say, the most urgent first; what has no words to type is left out, and calls for more
    where another rule knows that more is no cure.
    """
    said = [rule.function(case) for rule in sorted(rules.all(), key=lambda rule: rule.urgency)]
    found = [each for each in said if each and each.words]
    enough = any(each.more is False for each in found)
    return [each for each in found if not (enough and each.more)]
