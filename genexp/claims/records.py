"""What is claimed somewhere, and the runs that show it. Each is data: a new claim is one more record.

Seconds are of two cores of an AMD EPYC (Zen 5), measuring and drawing included.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

QUICK_EVALUATION = (
    "evaluation.num_samples=400",
    "evaluation.num_points=1000",
    "evaluation.ode_points=256",
    "evaluation.importance_samples=50",
    "evaluation.quadrature_side=60",
    "figures.log_density_side=24",
    "figures.manifold_side=12",
    "figures.gif=false",
)


@dataclass(frozen=True)
class Claim:
    """A number that somebody gives. `measure` is our metric of the same quantity, or one that the page derives of metrics."""

    measure: str
    value: float | str
    remark: str


@dataclass(frozen=True)
class Study:
    """What is shown: its figures by our name, what is claimed of it, and our numbers worth showing beside."""

    name: str
    title: str
    text: str
    figures: Mapping[str, str]
    claims: tuple[Claim, ...]
    measures: tuple[str, ...]
    source: str = "the article"


@dataclass(frozen=True)
class Way:
    """A run as typed: its experiment and overrides."""

    experiment: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A run of a case study. `setting`: whose; `needs`: the data set it wants on disk, for which `stand_in` is the embedded way.

    `quick` is what --quick changes (None: it leaves the case out); `seconds` and `quick_seconds`, about how long it takes.
    """

    name: str
    study: str
    setting: Literal["ours", "the article's"]
    way: Way
    seconds: float
    quick: tuple[str, ...] | None
    quick_seconds: float = 0.0
    needs: str | None = None
    stand_in: Way | None = None
    remark: str = ""

    @property
    def whose(self) -> str:
        return "our" if self.setting == "ours" else self.setting


def steps(count: int, *more: str) -> tuple[str, ...]:
    """A quick budget."""
    return (f"trainer.max_steps={count}", f"trainer.eval_every={max(1, count // 8)}", *QUICK_EVALUATION, *more)
