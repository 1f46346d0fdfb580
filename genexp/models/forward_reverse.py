"""`model=forward_reverse`: the same Gaussian twice, by the forward and by the reverse Kullback–Leibler divergence.

Sources: Minka, Divergence measures and message passing (2005); MacKay, Information Theory, Inference, and Learning Algorithms
(2003), chapter 33.
"""

import torch
from torch import Tensor, nn

from genexp.bijections.bases import log_standard
from genexp.capabilities import Ability, Learns
from genexp.data.base import Batch, DataSpec
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import models


class Diagonal(nn.Module):
    """q(x) = Π_i N(x_i; mean_i, std_i²), which begins narrow, at 1 or −1 by chance: between two far peaks it would stay wide."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mean, self.log_std = nn.Parameter(torch.randn(dim).sign()), nn.Parameter(torch.full((dim,), -1.0))

    def log_prob(self, x: Tensor) -> Tensor:
        return log_standard((x - self.mean) / self.log_std.exp()) - self.log_std.sum()

    def sample(self, n: int) -> Tensor:
        noise = torch.randn(n, len(self.mean), device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + self.log_std.exp() * noise


@models.register("forward_reverse")
class ForwardReverse(GenerativeModel):
    r"""Two Gaussians with independent coordinates, one trained on −E_p[ln q], one on E_q[ln q − ln p]; their losses are
    added, and have nothing in common. The first covers what it is given, the second chooses a
    part of it. `sample` is of the first.

    In short:
        The same Gaussian is fitted twice, by the two directions of the Kullback–Leibler divergence: one covers everything
        that it is given, the other chooses a part of it.

    Equation:
        q(x) = \prod_{d} \mathcal{N}(x_d; μ_d, σ_d^2)

    Objective:
        \mathcal{L}_{\mathrm{forward}} = -\mathbb{E}_p[\ln q], \qquad
            \mathcal{L}_{\mathrm{reverse}} = \mathbb{E}_q[\ln q - \ln p]

    Raises:
        UserError: data that are no points.
    """

    learns: Learns = "both"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        dim = spec.points("forward_reverse")
        self.forward_kl, self.reverse_kl = Diagonal(dim), Diagonal(dim)

    @property
    def can(self) -> frozenset[Ability]:
        return frozenset({"sample", "both_divergences"})

    def loss(self, batch: Batch) -> Terms:
        assert batch.log_density is not None  # else the pair was refused
        cover = -self.forward_kl.log_prob(batch.x).mean()
        x = self.reverse_kl.sample(len(batch.x))
        choose = (self.reverse_kl.log_prob(x) - batch.log_density(x)).mean()
        return {"loss": cover + choose, "forward": cover, "reverse": choose}

    def sample(self, n: int) -> Tensor:
        with torch.no_grad():
            return self.forward_kl.sample(n)
