"""`model=annealed_importance`: weighted points of a density, by annealed importance sampling from a Gaussian. Nothing is learnt.

Source: Neal, Annealed Importance Sampling (2001).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.bases import log_standard
from genexp.capabilities import Ability, Learns
from genexp.data.base import Batch, DataSpec, LogDensity
from genexp.errors import UserError
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import models
from genexp.samplers.annealing import Annealed, anneal, tuned
from genexp.samplers.step_size import StepSize
from genexp.settings import Scale

PILOTS, ROUNDS = 256, 20  # points by which the step sizes are found, and how often; they are not among those that are kept
TOGETHER = 4_096  # points that are led at once
LEAST = 0.01  # of a chain's proposals that have to be accepted


@models.register("annealed_importance")
class AnnealedImportance(GenerativeModel):
    r"""x ~ N(0, scale² I), led to p̃ along N^(1−β) p̃^β, β = (j/J)^power, by a transition of Hamiltonian Monte Carlo at each.

    The weights, of mean ∫ p̃, say how much each point counts; samples are drawn among the points by them.

    In short:
        Nothing is learnt: points of a Gaussian are led to the density through many temperatures; their weights say what each
        of them counts, and with them what the integral of the density is.

    Equation:
        p_j(x) \propto \mathcal{N}(x; 0, s^2 I)^{1-β_j} \, \tilde{p}(x)^{β_j}, \quad 0 = β_0 < … < β_J = 1
        \ln w = \sum_{j=1}^{J} (β_j - β_{j-1}) \ln \frac{\tilde{p}(x_{j-1})}{\mathcal{N}(x_{j-1}; 0, s^2 I)}, \qquad
            \mathbb{E}[w] = \int \tilde{p}(x) \, dx

    Args:
        points: how many.
        scale: of the Gaussian, which should be as wide as the density.
        power: the greater, the more temperatures are near the Gaussian, where a wide one has most to lose.
        temperatures: J. With 1 there is no chain: plain importance sampling from the Gaussian.
        leaps: leapfrog steps of each transition.
        step_size: of these to begin with; a pilot of 256 points finds those that accept 0.65 at each temperature.

    Raises:
        UserError: data that are no points; a density that is NaN somewhere; chains that never accept.
    """

    fitter = "none"
    learns: Learns = "density"
    x: Tensor
    log_weight: Tensor
    betas: Tensor
    step_sizes: Tensor
    accepted: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        points: Annotated[int, Field(ge=2, le=1_000_000)] = 16_384,
        scale: Scale = 3.0,
        temperatures: Annotated[int, Field(ge=1, le=10_000)] = 64,
        power: Annotated[float, Field(ge=1, le=10)] = 3.0,
        leaps: Annotated[int, Field(ge=1, le=1_000)] = 5,
        step_size: StepSize = 0.2,
    ) -> None:
        super().__init__()
        self.dim = spec.points("annealed_importance")
        self.scale, self.leaps, self.examples = scale, leaps, 1
        self.register_buffer("betas", torch.linspace(0, 1, temperatures + 1, dtype=torch.float64) ** power, persistent=False)
        self.register_buffer("step_sizes", torch.full((temperatures - 1,), float(step_size)))
        self.register_buffer("accepted", torch.zeros(temperatures - 1))
        self.register_buffer("x", torch.zeros(points, self.dim))
        self.register_buffer("log_weight", torch.zeros(points))

    @property
    def can(self) -> frozenset[Ability]:
        return frozenset({"sample", "weighted"})

    def initialise(self, batch: Batch) -> None:
        assert batch.log_density is not None  # else the pair was refused
        for _ in range(ROUNDS if len(self.step_sizes) else 0):
            found = self.anneal(min(PILOTS, len(self.x)), batch.log_density)
            self.step_sizes.copy_(tuned(self.step_sizes, found.acceptance))
        sizes = [len(part) for part in self.x.split(TOGETHER)]
        parts = [self.anneal(size, batch.log_density) for size in sizes]
        self.x.copy_(torch.cat([part.x for part in parts]))
        self.log_weight.copy_(torch.cat([part.log_weight for part in parts]))
        self.accepted.copy_(torch.stack([part.acceptance for part in parts]).mean(0))
        if bool(self.log_weight.isneginf().all()):
            raise UserError("the log density is -inf at every point", hint="another model.scale")
        if bool((self.accepted < LEAST).any()):
            worst = int(self.accepted.argmin()) + 1
            share = f"{float(self.accepted.min()):.1%}"
            raise UserError(
                f"at temperature {worst} only {share} of the proposals are accepted", hint="a smaller model.step_size"
            )

    def anneal(self, n: int, log_density: LogDensity) -> Annealed:
        """n points from the Gaussian to the density."""
        x = self.scale * torch.randn(n, self.dim, device=self.x.device, dtype=self.x.dtype)
        return anneal(x, self.log_start, log_density, self.betas, self.step_sizes, self.leaps)

    def log_start(self, x: Tensor) -> Tensor:
        """ln N(x; 0, scale² I)."""
        return log_standard(x / self.scale) - self.dim * torch.tensor(self.scale).log()

    def loss(self, batch: Batch) -> Terms:
        """−ln of the mean weight, an estimate of −ln ∫ p̃ that is on average too high."""
        return {"loss": self.log_weight.new_tensor(float(len(self.x))).log() - self.log_weight.logsumexp(0)}

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n of the points (n, dim), each drawn by its weight."""
        return self.x[torch.multinomial(self.log_weight.double().softmax(0), n, replacement=True)]
