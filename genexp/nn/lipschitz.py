"""A network with a Lipschitz constant, and what its Jacobian does to vectors.

Sources: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018); Chen et al., Residual Flows for
Invertible Generative Modeling (2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEEPEST_SWISH = 1.1  # d/dx x σ(x) is at most 1.0998
SQUARINGS = 7  # of WWᵀ: σ is found to within half a percent, whatever the other singular values are


class SpectralLinear(nn.Linear):
    """Wx · min(1, c/σ) + b, where σ is the largest singular value of W: its Lipschitz constant is at most c.

    In evaluation σ is found from W. In training it is uᵀWv, whose gradient is σ's own: u and v, the singular vectors, are those
    of W before the step (`follow`). One step may turn W by more than the usual single power iteration can follow, and a
    σ that is found too small is a network that is too steep.

    Args:
        inputs, outputs: the sizes of x and of what comes out.
        most: c.
    """

    u: Tensor
    v: Tensor

    def __init__(self, inputs: int, outputs: int, most: float) -> None:
        super().__init__(inputs, outputs)
        self.most = most
        self.register_buffer("u", torch.full((outputs,), outputs**-0.5))
        self.register_buffer("v", torch.full((inputs,), inputs**-0.5))

    @torch.no_grad()
    def follow(self) -> None:
        """The singular vectors of W as it is now: after k squarings of WWᵀ its longest column is u, as by 2ᵏ power iterations
        from every start at once.
        """
        wide = self.weight.shape[0] <= self.weight.shape[1]
        weight = self.weight if wide else self.weight.T
        gram = weight @ weight.T
        for _ in range(SQUARINGS):
            gram = gram @ gram / gram.square().sum().clamp_min(1e-30)
        v = F.normalize(weight.T @ gram[:, gram.diagonal().argmax()], dim=0)
        u = F.normalize(weight @ v, dim=0)
        self.u.copy_(u if wide else v)
        self.v.copy_(v if wide else u)

    def bounded(self) -> Tensor:
        """The weights that are multiplied with, (outputs, inputs)."""
        exactly = not self.training
        sigma = torch.linalg.matrix_norm(self.weight, 2) if exactly else self.u.clone() @ self.weight @ self.v.clone()
        return self.weight * (self.most / sigma.clamp_min(1e-12)).clamp_max(1.0)


@dataclass(frozen=True)
class Linearised:
    """g(x) of n points, (n, dim), and its Jacobian J: a product of `weights`, (after, before), and `slopes`, (n, width)."""

    value: Tensor
    weights: Sequence[Tensor]
    slopes: Sequence[Tensor]

    def of(self, rows: Tensor) -> "Linearised":
        """The same of some of the points."""
        return Linearised(self.value[rows], self.weights, [slope[rows] for slope in self.slopes])

    def tangent(self, w: Tensor) -> Tensor:
        """J w for vectors (…, n or 1, dim): (…, n, dim)."""
        for weight, slope in zip(self.weights, self.slopes, strict=False):
            w = slope * (w @ weight.T)
        return w @ self.weights[-1].T

    def cotangent(self, w: Tensor) -> Tensor:
        """wᵀJ for vectors (n, dim): (n, dim)."""
        w = w @ self.weights[-1]
        for weight, slope in zip(self.weights[-2::-1], self.slopes[::-1], strict=True):
            w = (slope * w) @ weight
        return w

    def jacobian(self) -> Tensor:
        """J itself, (n, dim, dim)."""
        dim = self.value.shape[1]
        return self.tangent(torch.eye(dim, dtype=self.value.dtype, device=self.value.device)[:, None]).permute(1, 2, 0)


class LipschitzMLP(nn.Module):
    """An MLP with LipSwish, x σ(βx) / 1.1, β > 0 learnt for each layer, and a Lipschitz constant of at most `lipschitz`.

    Shapes: (n, sizes[0]) → (n, sizes[-1]).
    """

    def __init__(self, sizes: Sequence[int], lipschitz: float) -> None:
        super().__init__()
        pairs = list(pairwise(sizes))
        most = lipschitz ** (1 / len(pairs))
        self.layers = nn.ModuleList(SpectralLinear(before, after, most) for before, after in pairs)
        self.steepness = nn.Parameter(torch.full((len(pairs) - 1,), 4.0))  # softplus⁻¹(β): nearly kinks; smooth ones learn slowly

    def bounded(self) -> list[Tensor]:
        """The weights of all layers, for as many points as one likes."""
        return [layer.bounded() for layer in self.layers]  # type: ignore[operator]

    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Linearised:
        """g and its Jacobian at the points x, by the `weights` that `bounded` gave."""
        slopes = []
        for layer, weight, beta in zip(self.layers, weights, F.softplus(self.steepness), strict=False):
            x = F.linear(x, weight, layer.bias)  # type: ignore[arg-type]
            gate = torch.sigmoid(beta * x)
            x = x * gate
            slopes.append((gate + beta * x * (1 - gate)) / STEEPEST_SWISH)
            x = x / STEEPEST_SWISH
        return Linearised(F.linear(x, weights[-1], self.layers[-1].bias), weights, slopes)  # type: ignore[arg-type]
