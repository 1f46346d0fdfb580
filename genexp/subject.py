"""What is under examination: a trained model, its data and the run's settings, and what several numbers and pictures share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

from genexp.capabilities import known_of
from genexp.data.base import Batch
from genexp.data.images import ImageSet
from genexp.sampling import Sampler
from genexp.seeds import seed_for
from genexp.settings import RunSettings

T = TypeVar("T")
Snapshot = tuple[int, Tensor]  # a step, and where held-out examples then lay in the latent plane, (n, 2)
State = tuple[int, dict[str, Tensor]]  # a step, and the weights after it


@dataclass
class Subject:
    """A model, the data it is measured on, the settings and the device.

    `history`, `snapshots` and `states` are what the training left, `training` what is known of it: metrics by name.
    What is cached is of the model as it was when first asked for: nothing is asked for before the training has ended.
    """

    model: Any  # a GenerativeModel
    data: Any
    settings: RunSettings
    device: torch.device
    history: list[dict[str, float]] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    training: dict[str, float] = field(default_factory=dict)
    runs: dict[str, dict[str, str]] = field(default_factory=dict)  # others that the model or the data were built from
    found: dict[Any, Any] = field(default_factory=dict, repr=False)  # what `once` remembers

    # --- what is declared ------------------------------------------------------------------------------------

    @property
    def can(self) -> frozenset[str]:
        return self.model.can

    @property
    def knows(self) -> frozenset[str]:
        return known_of(self.data.knows | self.data.spec.knows)

    @property
    def log_z(self) -> float:
        """ln of the integral of the data's log_density, where that is known."""
        return float(self.data.log_z) if "log_z" in self.knows else 0.0

    @property
    def log_scale(self) -> float:
        """What −ln p of an example is more in the user's own units than in those that the model sees, in nats."""
        return float(self.data.units.log_scale) if "units" in self.knows else 0.0

    @property
    def draw(self) -> str:
        """How the pictures became zeros and ones, where they did: another draw, other likelihoods."""
        return str(self.data.draw) if "binarised" in self.knows else ""

    @property
    def objective(self) -> str:
        return self.model.objective

    # --- what is drawn ---------------------------------------------------------------------------------------

    @property
    def sampler(self) -> Sampler:
        return Sampler.of(self.model, self.data.spec, self.settings, self.device)

    @cached_property
    def samples(self) -> Tensor:
        """The run's samples, (num_samples, *shape), on the CPU: the same ones every time, however many processes draw them."""
        return self.sampler.draw_all(self.settings.evaluation.num_samples, self.settings.seed)

    # --- what it is held against -----------------------------------------------------------------------------

    @cached_property
    def heldout_points(self) -> Tensor:
        """Points of the data (n, dim) that nothing was trained on, on the CPU: enough for `target` and `scored`, or all of a
        finite test part.
        """
        if "examples" in self.knows:
            return self.data.test.batch().x.cpu()  # type: ignore[no-any-return]
        settings = self.settings.evaluation
        return self.data.heldout(max(settings.num_samples, self._scored), seed_for(self.settings.seed, "test")).x.cpu()

    @property
    def target(self) -> Tensor:
        """As many of them as there are samples, or as there are, to set beside these."""
        return self.heldout_points[: self.settings.evaluation.num_samples]

    @property
    def scored(self) -> Tensor:
        """Those whose likelihood is found: `num_points` or, where each is an ODE of its own, `ode_points`."""
        return self.heldout_points[: self._scored]

    @property
    def _scored(self) -> int:
        settings = self.settings.evaluation
        return settings.ode_points if "refined" in self.can else settings.num_points

    @property
    def test_part(self) -> ImageSet:
        """The test examples of a finite set that are used: `evaluation.num_points` at most."""
        return self.data.test[: self.settings.evaluation.num_points]

    @cached_property
    def test(self) -> Batch:
        """Examples that nothing was trained on and nothing was chosen by: the test part, or fresh ones."""
        return self.test_part.batch() if "examples" in self.knows else Batch(self.scored.to(self.device))

    @cached_property
    def density(self) -> Any:
        """The density of the data on the CPU, where there is float64."""
        return self.data.density.to(torch.device("cpu"))


@dataclass(frozen=True)
class _Failed:
    failure: Exception


def once(function: Callable[[Subject], T]) -> Callable[[Subject], T]:
    """Decorator: what several numbers and pictures need is computed once for each subject, and fails once."""

    @wraps(function)
    def remembered(subject: Subject) -> T:
        if function not in subject.found:
            try:
                subject.found[function] = function(subject)
            except Exception as failure:
                subject.found[function] = _Failed(failure)
        result = subject.found[function]
        if isinstance(result, _Failed):
            raise result.failure
        return result

    return remembered
