"""`dataset=peak_pairs`: coordinates with two peaks each, farther and farther apart."""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.known import KnownDensity, KnownPoints, pieces
from genexp.registry import datasets

ROOM = 10.0  # standard deviations beyond a peak to which integrals go
NODES = 2_000  # of an integral along one coordinate
LN_2PI = math.log(2 * math.pi)


class PeakPairs(KnownDensity):
    """p(x) = Π_i ½ [N(x_i; −m_i, 1) + N(x_i; m_i, 1)], m_i from 0 to `farthest` in even steps."""

    def __init__(self, dim: int, farthest: float) -> None:
        self.dim = dim
        self.distance = torch.linspace(0, farthest, dim, dtype=torch.float64) if dim > 1 else torch.tensor([farthest]).double()

    def log_each(self, x: Tensor) -> Tensor:
        """ln of the density of each coordinate: (…, dim) → (…, dim)."""
        m = self.distance.to(x)
        near = -0.5 * (x.abs() - m).square() - 0.5 * LN_2PI - math.log(2)
        return near + torch.nn.functional.softplus(-2 * m * x.abs())

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_each(x).sum(1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        side = 2.0 * torch.randint(2, (n, self.dim), generator=generator, device=self.device) - 1
        noise = torch.randn(n, self.dim, generator=generator, device=self.device)
        return side * self.distance.float() + noise

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        corner = self.distance + sigmas
        return -corner, corner

    @cached_property
    def entropies(self) -> Tensor:
        """Of each coordinate, in nats, (dim,): ½ ln 2πe + ln 2 less what the peaks overlap."""
        x, weights = self.line()
        log_p = self.log_each(x)
        return -(weights * log_p.exp() * log_p).sum(0)

    @cached_property
    def entropy(self) -> float:
        return float(self.entropies.sum())

    def line(self) -> tuple[Tensor, Tensor]:
        """Nodes and weights of an integral along each coordinate, both (NODES, dim), float64."""
        nodes, weights = pieces([-1.0, 1.0], NODES)
        reach = self.distance.cpu() + ROOM
        return nodes[:, None] * reach, weights[:, None] * reach

    def forward_kl(self, mean: Tensor, std: Tensor) -> Tensor:
        """KL(p_i ‖ N(mean_i, std_i²)) of each coordinate, in closed form but for the entropy: (dim,)."""
        spread = (1 + self.distance.square() + mean.square()) / std.square()
        return 0.5 * (LN_2PI + spread) + std.log() - self.entropies

    def reverse_kl(self, mean: Tensor, std: Tensor) -> Tensor:
        """KL(N(mean_i, std_i²) ‖ p_i) of each coordinate, by quadrature over the Gaussian: (dim,)."""
        z, weights = pieces([-ROOM, ROOM], NODES)
        share = (weights * (-0.5 * z.square() - 0.5 * LN_2PI).exp())[:, None]
        cross = (share * self.log_each(mean + std * z[:, None])).sum(0)
        return -cross - std.log() - 0.5 * (1 + LN_2PI)

    @cached_property
    def best_forward(self) -> Tensor:
        """The least forward KL of a Gaussian, that of the mean 0 and the variance 1 + m²: ½ ln(1 + m²) − ln 2 + overlap."""
        return self.forward_kl(torch.zeros_like(self.distance), (1 + self.distance.square()).sqrt())

    @cached_property
    def minima_reverse(self) -> Tensor:
        """The reverse KL of two Gaussians at local minima of it, (2, dim): of that which covers both peaks, and of that which has
        chosen one, far apart ln 2. Near together there is one minimum only, and both are the same.
        """
        return torch.stack([self.descend(torch.zeros_like(self.distance), 1 + self.distance), self.descend(self.distance, 1.0)])

    def descend(self, mean: Tensor, std: Tensor | float) -> Tensor:
        """The reverse KL at the minimum that is reached from that Gaussian in each coordinate, by BFGS: (dim,)."""
        with torch.enable_grad():
            mean = mean.clone().requires_grad_()
            log_std = (torch.ones_like(mean.detach()) * std).log().requires_grad_()
            optimizer = torch.optim.LBFGS([mean, log_std], max_iter=300, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

            def closure() -> Tensor:
                optimizer.zero_grad()
                total = self.reverse_kl(mean, log_std.exp()).sum()
                total.backward()  # type: ignore[no-untyped-call]
                return total

            optimizer.step(closure)  # type: ignore[no-untyped-call]
        return self.reverse_kl(mean.detach(), log_std.detach().exp())


@datasets.register("peak_pairs")
class PeakPairsData(KnownPoints):
    """Coordinate i is ½ [N(−m_i, 1) + N(m_i, 1)], with m_i from 0 to `farthest`: all distances between two peaks at once.

    Args:
        data_dir: not used.
        dimension: how many distances.
        farthest: the last m.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        dimension: Annotated[int, Field(ge=1, le=1_000)] = 33,
        farthest: Annotated[float, Field(ge=0, le=20)] = 4.0,
    ) -> None:
        super().__init__(PeakPairs(dimension, farthest), f"two peaks, at {dimension} distances")
        self.knows |= {"distances"}
