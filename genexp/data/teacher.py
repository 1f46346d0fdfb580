"""`dataset=teacher`: the density that another run has learnt."""

import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from genexp.capabilities import Known
from genexp.context import Context
from genexp.data.base import Batch, DataSpec, FreshData
from genexp.data.known import KnownDensity
from genexp.errors import UserError
from genexp.registry import datasets
from genexp.seeds import seeded

NO_RUNS = Context()
LOOKED_AT = 8_192  # samples of the run's model that say where it lies
SEEDS = 2**62
ROOM = 0.25  # of the samples' range, around them


class LearntDensity(KnownDensity):
    """p(x) of a trained model whose likelihood is exact.

    Args:
        model: the model, in evaluation mode, on its device.
        dim: the dimension of its points.
    """

    def __init__(self, model: Any, dim: int) -> None:
        self.model, self.dim, self.device = model, dim, model.device

    def log_prob(self, x: Tensor) -> Tensor:
        model = self.in_float64 if x.dtype == torch.float64 else self.model
        return model.log_prob(x)  # type: ignore[no-any-return]

    @cached_property
    def in_float64(self) -> Any:
        return copy.deepcopy(self.model).double()

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        drawn = torch.randint(SEEDS, (1,), generator=generator, device=self.device if generator is None else generator.device)
        with seeded(int(drawn), self.device), torch.no_grad():
            return self.model.sample(n)  # type: ignore[no-any-return]

    @cached_property
    def some(self) -> Tensor:
        """Samples, always the same ones, (LOOKED_AT, dim)."""
        return self.sample(LOOKED_AT, torch.Generator(self.device).manual_seed(0))

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """What holds all of `some`, with room around them."""
        low, high = self.some.double().aminmax(dim=0)
        room = ROOM * sigmas / 9 * (high - low)
        return low - room, high + room

    def to(self, device: torch.device) -> Self:
        if device == self.device:
            return self
        return type(self)(copy.deepcopy(self.model).to(device), self.dim)


@datasets.register("teacher")
class Teacher(FreshData):
    """ln p(x) of the model of another run, the teacher: exact, normalised, and with a gradient.

    A student learns it without an example, by KL(student ‖ teacher) over its own samples: any flow with
    `model/objective=reverse_kl`. What a batch then holds are points of a Gaussian of the teacher's mean and variances, which
    cost nothing, for their number; only before the first step does a model see samples of the teacher.
    Source: van den Oord et al., Parallel WaveNet (2018).

    Args:
        data_dir: not used.
        context: opens the run; the digest of its weights is kept, and is asked for again by whoever goes on.
        run: the teacher, by its folder, its id, or `latest`.
        samples: whether each batch holds samples of the teacher, drawn anew: for what learns from examples, by KL(teacher ‖
            student).

    Raises:
        UserError: no such run; its model has no exact likelihood, or is no density of points.
    """

    log_z = 0.0

    def __init__(self, data_dir: Path, context: Context = NO_RUNS, *, run: str | None = None, samples: bool = False) -> None:
        self.teacher = context.run("dataset.run", run)
        model, shape = self.teacher.model, self.teacher.spec.shape
        if "exact" not in model.can or "classes" in model.can or len(shape) != 1:
            lacks = "is no density of points" if len(shape) != 1 else "has no exact likelihood"
            raise UserError(f"dataset.run={run}: its model {lacks}", hint="a flow of points, or a Gaussian mixture, has one")
        self.made_of = context.asked[str(run)].get("weights")
        self.samples, self.device = samples, model.device
        self.spec = DataSpec(shape, kind="real")
        self.density = LearntDensity(model, shape[0])
        told: dict[Known, bool] = {"density": True, "teacher": True, "box": shape[0] <= 2, "target": not samples}
        self.knows = frozenset(word for word, true in told.items() if true)

    def to(self, device: torch.device) -> Self:
        self.density = self.density.to(device)
        return super().to(device)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        if self.samples:
            return self.density.sample(n, generator)
        some = self.density.some
        noise = torch.randn(n, *self.spec.shape, generator=generator, device=self.device)
        return some.mean(0) + some.std(0) * noise  # type: ignore[no-any-return]

    def first_look(self, size: int, seed: int) -> Batch:
        """Samples of the teacher."""
        return Batch(self.density.sample(size, torch.Generator(self.device).manual_seed(seed)), log_density=self.log_density)

    def describe(self) -> str:
        dim, path = self.spec.shape[0], self.teacher.path
        what = "its samples" if self.samples else "a density without examples"
        return f"the density that {path} has learnt, in {dim} dimension{'s' * (dim > 1)}: {what}"
