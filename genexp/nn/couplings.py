"""Coupling layers: bijections that move some features elementwise, given the others.

`forward(x)` and `inverse(z)` return the new point, (n, dim), and ln |det ∂out/∂in|, (n,), of the map they applied; the
Jacobian is triangular, so the determinant is the product of the elementwise slopes.
Source: Dinh et al., Density Estimation Using Real NVP (2017).
"""

import torch
from torch import Tensor, nn

from genexp.nn.fourier import FourierFeatures
from genexp.nn.mlp import Activation, mlp
from genexp.nn.spline import rational_quadratic_spline


class Conditioner(nn.Module):
    """An MLP from the features that stay to the parameters of those that move; it begins as zero.

    With `harmonics` it also sees sin and cos of πkx/span, k = 1 … harmonics, of each feature.
    """

    def __init__(self, inputs: int, outputs: int, hidden: list[int], activation: Activation, harmonics: int, span: float) -> None:
        super().__init__()
        waves = torch.arange(1, harmonics + 1) / (2 * span)
        self.waves = FourierFeatures(torch.kron(torch.eye(inputs), waves)) if harmonics else None
        self.net = mlp([inputs * (1 + 2 * harmonics), *hidden, outputs], activation)
        last = self.net[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x if self.waves is None else torch.cat([x, self.waves(x)], dim=1))


class Coupling(nn.Module):
    """Moves the features where `mask` is true; `conditioner(inputs, outputs)` builds the network."""

    kept: Tensor
    moved: Tensor
    order: Tensor

    def __init__(
        self, mask: list[bool], per_feature: int, hidden: list[int], activation: Activation, harmonics: int, span: float
    ) -> None:
        super().__init__()
        moved = [index for index, moves in enumerate(mask) if moves]
        kept = [index for index, moves in enumerate(mask) if not moves]
        self.per_feature = per_feature
        self.register_buffer("kept", torch.tensor(kept))
        self.register_buffer("moved", torch.tensor(moved))
        self.register_buffer("order", torch.argsort(torch.tensor(kept + moved)))
        self.conditioner = Conditioner(len(kept), len(moved) * per_feature, hidden, activation, harmonics, span)

    def elementwise(self, x: Tensor, raw: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """x (n, moved) under parameters raw (n, moved, per_feature): image and log-slope, both (n, moved)."""
        raise NotImplementedError

    def forward(self, x: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        kept, moved = x.index_select(1, self.kept), x.index_select(1, self.moved)
        raw = self.conditioner(kept).view(*moved.shape, self.per_feature)
        with torch.autocast(x.device.type, enabled=False):  # the conditioner may be bfloat16, the bijection not
            image, log_slope = self.elementwise(moved, raw.to(x.dtype), inverse)
        return torch.cat([kept, image], dim=1).index_select(1, self.order), log_slope.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(z, inverse=True)


class AffineCoupling(Coupling):
    """z = x exp(s) + shift with s = bound tanh(raw/bound): stretches as readily as it shrinks, and never too much."""

    def __init__(
        self, mask: list[bool], hidden: list[int], activation: Activation, harmonics: int, span: float, bound: float
    ) -> None:
        super().__init__(mask, 2, hidden, activation, harmonics, span)
        self.bound = bound

    def elementwise(self, x: Tensor, raw: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        raw_scale, shift = raw.unbind(-1)
        s = self.bound * torch.tanh(raw_scale / self.bound)
        return ((x - shift) * torch.exp(-s), -s) if inverse else (x * torch.exp(s) + shift, s)


class SplineCoupling(Coupling):
    """z = rational-quadratic spline of x on [−bound, bound], the identity outside."""

    def __init__(
        self, mask: list[bool], hidden: list[int], activation: Activation, harmonics: int, span: float, bins: int, bound: float
    ) -> None:
        super().__init__(mask, 3 * bins - 1, hidden, activation, harmonics, span)
        self.bound = bound

    def elementwise(self, x: Tensor, raw: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        return rational_quadratic_spline(x, raw, self.bound, inverse)
