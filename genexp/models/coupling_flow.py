"""`model=coupling_flow`: a bijection between data and noise, in layers, with an exact likelihood.

    ln p(x) = ln p_base(z) + ln |det ∂z/∂x|,   z = f_K(… f_1(x)),   and samples are x = f_1⁻¹(… f_K⁻¹(z)), z ~ base.

Sources: Dinh et al., Density Estimation Using Real NVP (2017); Durkan et al., Neural Spline Flows (2019).
"""

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.base import GenerativeModel, Terms
from genexp.nn.couplings import AffineCoupling, SplineCoupling
from genexp.nn.mlp import Activation, mlp
from genexp.registry import models
from genexp.settings import Scale, Width

_TAIL_SHARE = 0.999


@models.register("coupling_flow")
class CouplingFlow(GenerativeModel):
    """A coupling flow for points of two dimensions or more.

    Args:
        coupling: `spline`: rational-quadratic splines. `affine`: ours, with a symmetric bounded log-scale. `nflows_affine`,
            `nflows_spline`: the layers of the library nflows. (Its affine scale is sigmoid(·+2) + 0.001 ≤ 1.001, so from data
            to noise it can only contract.)
        depth, width, hidden_layers, activation: number of couplings; and the hidden layers of each one's conditioner.
        bins, tail_bound: of a spline, which acts on [−tail_bound, tail_bound] and is the identity outside.
        log_scale_bound: of `affine`: each coupling stretches by at most e to this power, and shrinks by as much.
        mask: which features move: `alternating` even and odd ones, or a `random` half and then the other.
        harmonics: sin and cos of that many harmonics of each feature that the conditioner also sees; 0 is none.
        base: `normal`, N(0, I); or `uniform` on [−tail_bound, tail_bound]^dim.
        normalise: before training, centre the data and scale it so that its tails lie where those of N(0, 1) do.
    """

    can: frozenset[Ability] = frozenset({"sample", "exact", "layers"})
    objective: Objective = "nll"
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        coupling: Literal["affine", "spline", "nflows_affine", "nflows_spline"] = "spline",
        depth: Annotated[int, Field(ge=1, le=256)] = 3,
        width: Width = 32,
        hidden_layers: Annotated[int, Field(ge=0, le=16)] = 2,
        activation: Activation = "silu",
        bins: Annotated[int, Field(ge=2, le=256)] = 32,
        tail_bound: Scale = 5.0,
        log_scale_bound: Annotated[float, Field(gt=0, le=50)] = 4.0,
        mask: Literal["alternating", "random"] = "alternating",
        harmonics: Annotated[int, Field(ge=0, le=1024)] = 0,
        base: Literal["normal", "uniform"] = "normal",
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.dim = spec.points("coupling_flow")
        if self.dim < 2:
            raise UserError("model=coupling_flow: a coupling needs data of at least two dimensions")
        if base == "uniform" and normalise:
            raise UserError("model.base=uniform: data beyond the base would have no likelihood", hint="model.normalise=false")
        if harmonics and coupling.startswith("nflows"):
            raise UserError(f"model.harmonics={harmonics}: nflows' couplings have none", hint="model.coupling=spline")
        self.base, self.tail_bound, self.normalise = base, tail_bound, normalise
        self.register_buffer("centre", torch.zeros(self.dim))
        self.register_buffer("spread", torch.ones(self.dim))
        net: dict[str, Any] = {"hidden": [width] * hidden_layers, "activation": activation}
        waves: dict[str, Any] = {"harmonics": harmonics, "span": tail_bound}
        build = {
            "affine": lambda moves: AffineCoupling(moves, bound=log_scale_bound, **waves, **net),
            "spline": lambda moves: SplineCoupling(moves, bins=bins, bound=tail_bound, **waves, **net),
            "nflows_affine": lambda moves: nflows_coupling(moves, None, tail_bound, **net),
            "nflows_spline": lambda moves: nflows_coupling(moves, bins, tail_bound, **net),
        }[coupling]
        self.couplings = nn.ModuleList(build(moves) for moves in masks(self.dim, depth, mask))

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Fix the first, elementwise step: the mean to 0, and the 99.9 % range of the data to that of N(0, 1).

        (Dividing by the standard deviation is worse: between far peaks it leaves the noise's tails to empty space.)
        """
        if not self.normalise:
            return
        self.centre.copy_(batch.x.mean(0))
        reach = (batch.x - self.centre).abs().quantile(_TAIL_SHARE, dim=0)
        self.spread.copy_(reach / (math.sqrt(2) * torch.erfinv(torch.tensor(_TAIL_SHARE))))

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)], in nats per example."""
        return {"loss": -self.log_prob(batch.x).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats."""
        z, log_det = self.transform(x)
        if self.base == "normal":
            log_base = -0.5 * z.square().sum(1) - 0.5 * self.dim * math.log(2 * math.pi)
        else:
            inside = (z.abs() <= self.tail_bound).all(1)
            log_base = torch.where(inside, -self.dim * math.log(2 * self.tail_bound), -math.inf)
        return log_base + log_det

    # --- the bijection ---------------------------------------------------------------------------------------

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data → noise: z, shape (n, dim), and ln |det ∂z/∂x|, shape (n,)."""
        z = (x - self.centre) / self.spread
        log_det = -self.spread.log().sum().expand(len(x))
        for coupling in self.couplings:
            z, more = coupling(z)
            log_det = log_det + more
        return z, log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Noise → data: x, shape (n, dim), and ln |det ∂x/∂z|, shape (n,)."""
        log_det = self.spread.log().sum().expand(len(z))
        for coupling in reversed(self.couplings):
            z, more = coupling.inverse(z)  # type: ignore[operator]
            log_det = log_det + more
        return z * self.spread + self.centre, log_det

    @torch.no_grad()
    def layers(self, z: Tensor) -> Tensor:
        """Noise z (n, dim) on its way to data: after no layer, after each coupling, and in the data's units at the end.

        Shape (depth + 2, n, dim).
        """
        path = [z]
        for coupling in reversed(self.couplings):
            path.append(coupling.inverse(path[-1])[0])  # type: ignore[operator]
        return torch.stack([*path, path[-1] * self.spread + self.centre])

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, shape (n, dim)."""
        return self.inverse(self.sample_base(n))[0]

    def sample_base(self, n: int) -> Tensor:
        """n points of the base, shape (n, dim)."""
        like = self.centre
        if self.base == "normal":
            return torch.randn(n, self.dim, device=like.device, dtype=like.dtype)
        return self.tail_bound * (2 * torch.rand(n, self.dim, device=like.device, dtype=like.dtype) - 1)


def masks(dim: int, depth: int, kind: str) -> list[list[bool]]:
    """Which features move in each coupling: `alternating` parity, or `random` halves, each followed by its complement."""
    chosen: list[list[bool]] = []
    for layer in range(depth):
        if layer % 2:
            chosen.append([not moves for moves in chosen[-1]])
        elif kind == "alternating":
            chosen.append([feature % 2 == 0 for feature in range(dim)])
        else:
            order = torch.randperm(dim).tolist()
            chosen.append([position < dim // 2 for position in order])
    return chosen


def nflows_coupling(
    moves: list[bool], bins: int | None, tail_bound: float, hidden: list[int], activation: Activation
) -> nn.Module:
    """A coupling of the library nflows: affine, or for `bins` a rational-quadratic spline. Same interface as ours."""
    from nflows.transforms import AffineCouplingTransform, PiecewiseRationalQuadraticCouplingTransform

    class Network(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.net = mlp([inputs, *hidden, outputs], activation)
            self.hidden_features = hidden[-1] if hidden else 1  # nflows divides the scores of a spline by its root

        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return self.net(x)

    mask = [1 if move else -1 for move in moves]
    if bins is None:
        return AffineCouplingTransform(mask, Network)
    return PiecewiseRationalQuadraticCouplingTransform(mask, Network, num_bins=bins, tails="linear", tail_bound=tail_bound)
