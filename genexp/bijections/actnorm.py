"""A scale and a shift of each feature that begin where the data are."""

import torch
from torch import Tensor, nn

from genexp.bijections.base import Bijection, bijections


@bijections.register("actnorm")
class ActNorm(Bijection):
    """z = (x − mean) exp(−log_scale), which before the first step has mean 0 and standard deviation 1; both are learnt after it.

    Source: Kingma & Dhariwal, Glow (2018).
    """

    def __init__(self, dim: int, layer: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Take mean and deviation from these data, (n, dim); a feature that does not vary keeps its scale."""
        self.mean.copy_(x.mean(0))
        spread = x.std(0, unbiased=False)
        self.log_scale.copy_(torch.where(spread > 0, spread, 1.0).log())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (x - self.mean) * torch.exp(-self.log_scale), -self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z * torch.exp(self.log_scale) + self.mean, self.log_scale.sum().expand(len(z))
