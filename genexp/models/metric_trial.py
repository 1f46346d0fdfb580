"""`model=metric_trial`: samplers that fail in known ways, to put on trial what samples are judged by. Nothing is learnt."""

from functools import cached_property
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.failures.base import TRUTH, Failure, Real, sampler_on_trial
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import models
from genexp.seeds import seeded

COARSE, COMPONENTS = 8, 8  # pixels a side, and their principal components, by which pictures are grouped and have a density
PARTS = 4  # of the examples: what is trained on, what is held out, and twice as many of which samplers are made
ENOUGH = 39  # repetitions: the most extreme of so many is exceeded with a probability of 1/40
LEAST = 5  # samples of the least trial

Repetitions = Annotated[int, Field(ge=1, le=2_000)]


@models.register("metric_trial")
class MetricTrial(GenerativeModel):
    r"""Examples, dealt out anew in each repetition of the trial: to train on, held out, and those that samplers are made of.

    In short:
        Nothing is learnt: samplers that fail in known ways are put on trial in place of a model, so that one sees which numbers
        notice which failure.

    Equation:
        P(\text{alarm} \mid \text{truth}) = 5\,\%

    Args:
        sampler: the one that the run's own samples come from: the truth, or one of `genexp.failures`.
        examples: at most so many; of a finite data set training examples.
        modes: clusters that stand for classes where there are none.
        samples: of each sampler at most; a quarter of the examples is enough, and halves of that are tried too.
        rungs: how many numbers of samples are tried, each half of the one before.
        repetitions: of the truth, to find the threshold; and as many others, to count false alarms.
        failing: repetitions of each failing sampler.

    Raises:
        UserError: no such sampler; symbols; fewer than 20 examples.
    """

    fitter = "none"
    pool: Tensor
    label: Tensor
    log_density: Tensor
    count: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        sampler: str = TRUTH,
        examples: Annotated[int, Field(ge=20, le=100_000)] = 4_000,
        modes: Annotated[int, Field(ge=2, le=100)] = 8,
        samples: Annotated[int, Field(ge=LEAST, le=2_000)] = 400,
        rungs: Annotated[int, Field(ge=1, le=8)] = 4,
        repetitions: Repetitions = 400,
        failing: Repetitions = 40,
    ) -> None:
        super().__init__()
        spec.check_kind(("real", "unit", "bytes", "bits"), "model=metric_trial")
        self.sampler_on_trial = sampler_on_trial(sampler)
        self.examples, self.classes, self.clusters = examples, len(spec.classes), modes
        self.most, self.rungs, self.repetitions, self.failing = samples, rungs, repetitions, failing
        self.pictures = len(spec.shape) == 3
        self.register_buffer("pool", torch.zeros(examples, *spec.shape, dtype=torch.uint8 if self.pictures else torch.float32))
        self.register_buffer("label", torch.zeros(examples, dtype=torch.long))
        self.register_buffer("log_density", torch.full((examples,), torch.nan))
        self.register_buffer("count", torch.tensor(0))

    @property
    def can(self) -> frozenset[Ability]:
        return frozenset({"sample", "trial"})

    def initialise(self, batch: Batch) -> None:
        chosen = torch.randperm(len(batch.x))[: self.examples].to(batch.x.device)
        if len(chosen) < PARTS * LEAST:
            raise UserError(f"{len(chosen)} examples are too few to deal out: {PARTS * LEAST} are needed")
        x = batch.x[chosen]
        self.count.fill_(len(chosen))
        self.pool[: len(x)] = (255 * x).round().byte() if self.pictures else x
        if batch.label is not None:
            self.label[: len(x)] = batch.label[chosen]
        if batch.log_density is not None:
            self.log_density[: len(x)] = batch.log_density(x).float()

    def remarks(self) -> list[str]:
        few = f"model.repetitions={self.repetitions} are too few for a threshold with 2.5 % on either side: {ENOUGH} are needed"
        return [f"warning: {few}"] if self.repetitions < ENOUGH else []

    def loss(self, batch: Batch) -> Terms:
        """Nothing is learnt: 0."""
        return {"loss": self.log_density.new_zeros(())}

    def sample(self, n: int) -> Tensor:
        """n samples (n, *shape) of the one that the settings name, dealt out again where the examples are too few for so many."""
        made: list[Tensor] = []
        while (left := n - sum(map(len, made))) > 0:
            made.append(self.made_by(self.sampler_on_trial, self.deal(self.largest)[2], min(left, self.largest)))
        return torch.cat(made)

    # --- what the trial asks for -----------------------------------------------------------------------------

    @property
    def largest(self) -> int:
        """Samples of each sampler at most."""
        return min(self.most, int(self.count) // PARTS)

    @property
    def ladder(self) -> list[int]:
        """Numbers of samples that are tried, the least first."""
        sizes = [self.largest // 2**rung for rung in range(self.rungs)]
        return [size for size in reversed(sizes) if size >= LEAST or size == self.largest]

    @cached_property
    def x(self) -> Tensor:
        """The examples (m, *shape), greys in [0, 1]."""
        x = self.pool[: int(self.count)].cpu()
        return x.float() / 255 if self.pictures else x

    def deal(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Which examples are trained on (n,), held out (n,), and given to the samplers (up to 20 n); all in random order."""
        order = torch.randperm(len(self.x))[: 22 * n]
        return order[:n], order[n : 2 * n], order[2 * n :]

    def made_by(self, failure: Failure, fresh: Tensor, n: int, train: Tensor | None = None) -> Tensor:
        """n samples of a sampler, made of these examples."""
        mode, log_density, spread = self.grouped
        taught = fresh if train is None else train
        real = Real(self.x[fresh], mode[fresh], log_density[fresh], self.x[taught], self.modes, spread)
        return failure(real, n)

    @property
    def modes(self) -> int:
        """Classes or, where there are none, clusters."""
        return self.classes or self.clusters

    @cached_property
    def centres(self) -> Tensor:
        """Of the clusters, in the numbers by which examples are grouped, (modes, dim)."""
        with seeded(0, torch.device("cpu")):
            return clusters(seen(self.x), self.clusters)

    def cluster(self, x: Tensor) -> Tensor:
        """The nearest cluster of each (n,)."""
        return torch.cdist(seen(x), self.centres).argmin(1)

    @cached_property
    def grouped(self) -> tuple[Tensor, Tensor, float]:
        """Of all examples the mode and ln p(x) up to a constant; and the standard deviation of a number within its mode."""
        mode = self.label[: len(self.x)].cpu() if self.classes else self.cluster(self.x)
        known = self.log_density[: len(self.x)].cpu()
        flat = self.x.flatten(1)
        within = [flat[mode == each].var(0).mean() * (mode == each).sum() for each in mode.unique() if (mode == each).sum() > 1]
        spread = float((torch.stack(within).sum() / len(flat)).sqrt()) if within else float(flat.std())
        return mode, by_gaussians(seen(self.x), mode) if bool(known.isnan().any()) else known, spread


def seen(x: Tensor) -> Tensor:
    """Points as they are, pictures from afar: (n, dim)."""
    return x if x.dim() == 2 else F.adaptive_avg_pool2d(x, COARSE).flatten(1)


def by_gaussians(x: Tensor, mode: Tensor) -> Tensor:
    """ln w_k N(x; μ_k, Σ_k) of each point (n, dim) for its own mode k, in the leading principal components of all."""
    if x.shape[1] > COMPONENTS:
        x = (x - x.mean(0)) @ torch.linalg.svd(x - x.mean(0), full_matrices=False).Vh[:COMPONENTS].mT
    found = torch.empty(len(x))
    for each in mode.unique():
        own = x[mode == each]
        covariance = own.mT.cov().view(x.shape[1], -1) if len(own) > 1 else torch.zeros(x.shape[1], x.shape[1])
        least = 1e-3 * covariance.diagonal().mean() + 1e-6 * x.var() + 1e-12  # of numbers that are constant within a mode
        covariance = covariance + least * torch.eye(x.shape[1])
        gaussian = torch.distributions.MultivariateNormal(own.mean(0), covariance)
        found[mode == each] = gaussian.log_prob(own) + torch.tensor(len(own) / len(x)).log()
    return found


def clusters(x: Tensor, count: int, tries: int = 8, rounds: int = 30) -> Tensor:
    """Centres (count, dim) by k-means: the best of several tries, each begun far apart (Arthur & Vassilvitskii 2007)."""
    best, least = x[:count], torch.inf
    for _ in range(tries):
        centres = x[torch.randint(len(x), (1,))]
        while len(centres) < count:
            far = torch.cdist(x, centres).amin(1).square()
            centres = torch.cat([centres, x[torch.multinomial(far + 1e-12, 1)]])
        for _ in range(rounds):
            nearest = torch.cdist(x, centres).argmin(1)
            sums = torch.zeros_like(centres).index_add_(0, nearest, x)
            sizes = torch.bincount(nearest, minlength=count)
            centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp_min(1)[:, None], centres)
        cost = float(torch.cdist(x, centres).amin(1).square().mean())
        if cost < least:
            best, least = centres, cost
    return best
