"""`model=flow`: bijections in layers between data and noise, with an exact likelihood.

    ln p(x) = ln p_base(z) + ln |det ∂z/∂x|,   z = f_K(… f_1(x)),   and samples are x = f_1⁻¹(… f_K⁻¹(z)), z ~ base.

Source: Rezende & Mohamed, Variational Inference with Normalizing Flows (2015).
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.base import Base, Bijection, bases, bijections
from genexp.bijections.objectives import FlowObjective, Likelihood, objectives
from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models

Depth = Annotated[int, Field(ge=1, le=256)]
Normalise = bool | Literal["whiten"]

_TAIL_SHARE = 0.999


def features_to_couple(spec: DataSpec, model: str) -> int:
    """The dimension of points that couplings can split; UserError where there is nothing to split."""
    dim = spec.points(model)
    if dim < 2:
        raise UserError(
            f"model={model}: a coupling needs data of at least two dimensions",
            hint="genexp list models --data NAME says what can be",
        )
    return dim


class Flow(GenerativeModel):
    """The density of noise that went through bijections.

    Args:
        dim: number of features.
        layers: the bijections, from data to noise.
        base: the noise.
        objective: what it is trained by.
        normalise: before training, shift the data to mean 0 and scale them so that their tails lie where those of N(0, 1) do;
            `whiten`: to mean 0 and covariance I, by a triangular matrix: what is then left to learn is what no Gaussian has.

    Raises:
        UserError: data that are normalised could lie beyond a bounded base.
    """

    centre: Tensor
    spread: Tensor
    factor: Tensor | None

    def __init__(
        self, dim: int, layers: Sequence[Bijection], base: Base, normalise: Normalise, objective: FlowObjective | None = None
    ) -> None:
        super().__init__()
        if base.bounded and normalise:
            raise UserError("model/base: data beyond a bounded base would have no likelihood", hint="model.normalise=false")
        self.base, self.normalise, self.criterion = base, normalise, objective or Likelihood()
        self.learns = self.criterion.learns
        self.criterion.prepare(dim)
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))
        self.register_buffer("factor", torch.eye(dim) if normalise == "whiten" else None)
        self.bijections = nn.ModuleList(layers)

    @property
    def can(self) -> frozenset[Ability]:
        likelihood: Ability = "exact" if all(bijection.exact for bijection in self.bijections) else "estimate"
        more: set[Ability] = {"in_turn"} if any(bijection.can_turn for bijection in self.bijections) else set()
        if all(bijection.smooth for bijection in self.bijections) and not self.base.bounded:
            more.add("smooth")
        return frozenset({"sample", "layers", likelihood}) | more

    @property
    def objective(self) -> Objective:  # type: ignore[override]
        return self.criterion.kind

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Fix the first step. The mean to 0, and the 99.9 % range of the data to that of N(0, 1); or the covariance to I.

        (Dividing by the standard deviation is worse: between far peaks it leaves the noise's tails to empty space.)
        """
        if self.factor is not None:
            x = batch.x.double()
            self.centre.copy_(x.mean(0))
            self.spread.copy_(_nonzero(x.std(0, correction=0)))
            x = (x - self.centre) / self.spread
            self.factor.copy_(_cholesky(x.mT @ x / len(x)))
        elif self.normalise:
            self.centre.copy_(batch.x.mean(0))
            reach = (batch.x - self.centre).abs().quantile(_TAIL_SHARE, dim=0)
            self.spread.copy_(_nonzero(reach) / (math.sqrt(2) * torch.erfinv(torch.tensor(_TAIL_SHARE))))
        x, _ = self.normalised(batch.x)
        layers: list[Bijection] = [*self.bijections]  # type: ignore[list-item]
        looking = [type(layer).initialise is not Bijection.initialise for layer in layers]
        for number, layer in enumerate(layers):
            layer.initialise(x)
            if not any(looking[number + 1 :]):  # nobody further on wants to see the data
                break
            x, _ = layer(x)

    def loss(self, batch: Batch) -> Terms:
        if self.training:
            for bijection in self.bijections:
                bijection.before_step()  # type: ignore[operator]
        return self.criterion.loss(self, batch)

    def validate(self, batch: Batch) -> Terms:
        return self.criterion.validate(self, batch)

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats."""
        z, log_det = self.transform(x)
        return self.base.log_prob(z) + log_det

    # --- the bijection ---------------------------------------------------------------------------------------

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data → noise: z, shape (n, dim), and ln |det ∂z/∂x|, shape (n,)."""
        z, log_det = self.normalised(x)
        for bijection in self.bijections:
            z, more = bijection(z)
            log_det = log_det + more
        return z, log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Noise → data: x, shape (n, dim), and ln |det ∂x/∂z|, shape (n,)."""
        log_det = z.new_zeros(len(z))
        for bijection in reversed(self.bijections):
            z, more = bijection.inverse(z)  # type: ignore[operator]
            log_det = log_det + more
        x, more = self.in_units(z)
        return x, log_det + more

    def in_turn(self) -> "Flow":
        """A copy that finds features one after the other: noise → data of a MAF, data → noise of an IAF."""
        found = copy.deepcopy(self)
        for bijection in found.bijections:
            bijection.solve_in_turn()  # type: ignore[operator]
        return found

    def normalised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The first step of `transform`: z and its ln |det|."""
        z, log_det = (x - self.centre) / self.spread, -self.spread.log().sum()
        if self.factor is not None:
            z = torch.linalg.solve_triangular(self.factor, z.mT, upper=False).mT
            log_det = log_det - self.factor.diagonal().log().sum()
        return z, log_det.expand(len(x))

    def in_units(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The last step of `inverse`: x in the data's units and its ln |det|."""
        log_det = self.spread.log().sum()
        if self.factor is not None:
            with all_digits(z.device):
                z = z @ self.factor.mT
            log_det = log_det + self.factor.diagonal().log().sum()
        return z * self.spread + self.centre, log_det.expand(len(z))

    @torch.no_grad()
    def layers(self, z: Tensor) -> Tensor:
        """Noise z (n, dim) on its way to data: after no layer, after each of them (or of its stages), and in the data's units at
        the end.

        Shape (depth + 2, n, dim), where each layer has one stage.
        """
        path = [z]
        for bijection in reversed(self.bijections):
            path.extend(bijection.stages(path[-1]))  # type: ignore[operator]
        return torch.stack([*path, self.in_units(path[-1])[0]])

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, shape (n, dim)."""
        return self.inverse(self.sample_base(n))[0]

    def sample_with_log_prob(self, n: int) -> tuple[Tensor, Tensor]:
        """n examples x, (n, dim), and ln p(x), (n,), both with gradients."""
        z = self.sample_base(n)
        x, log_det = self.inverse(z)
        return x, self.base.log_prob(z) - log_det

    def sample_base(self, n: int) -> Tensor:
        """n points of the base, shape (n, dim)."""
        return self.base.sample(n)


def _nonzero(scale: Tensor) -> Tensor:
    """1 for a feature that never moves."""
    return torch.where(scale > 0, scale, 1.0)


def _cholesky(correlation: Tensor) -> Tensor:
    """L of L Lᵀ, float64 (dim, dim); of a singular matrix with as little more on its diagonal as that takes."""
    identity = torch.eye(len(correlation), dtype=correlation.dtype, device=correlation.device)
    for ridge in (0.0, 1e-10, 1e-8, 1e-6, 1e-4):
        factor, failed = torch.linalg.cholesky_ex(correlation + ridge * identity)
        if not failed and bool(factor.diagonal().min() > 1e-5):
            return factor
    return identity


def repeated(
    spec: DataSpec,
    model: str,
    depth: int,
    layer: Callable[[int, int], Bijection],
    normalise: Normalise,
    base: Part[Base],
    objective: Part[FlowObjective],
) -> Flow:
    """A flow of `depth` bijections of one kind, built by `layer(dim, place)`. UserError, which names `model`, for no points."""
    dim = spec.points(model)
    return Flow(dim, [layer(dim, place) for place in range(depth)], base(dim), normalise, objective())


@models.register("flow")
def flow(
    spec: DataSpec,
    *,
    depth: Depth = 3,
    normalise: Normalise = True,
    bijection: Part[Bijection] = bijections.part("coupling"),
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Any bijection, `depth` of them in a row, for data that are points.

    In short:
        A bijection from data to noise is learnt, in layers: the likelihood is exact, and a sample is noise that goes the way
        back.

    Equation:
        \ln p(x) = \ln p_{\mathrm{base}}(z) + \ln \left| \det \frac{\partial z}{\partial x} \right|, \qquad z = f_K(… f_1(x))

    Args:
        depth: how many.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        bijection: what each layer is.
        base: the noise that samples begin from.
        objective: what it is trained by.
    """
    return repeated(spec, "flow", depth, bijection, normalise, base, objective)
