"""Encoder and decoder in the space of principal components: pictures that are aligned are nearly a low-dimensional plane.

The components are measured once before training and stay; an MLP learns among their coefficients what is not linear. One step
then costs two thin matrix products and a small MLP, where convolutions of the same quality cost ten times as much.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.nn.mlp import Activation
from genexp.nn.pairs import Decoder, Encoder
from genexp.nn.residual import ResidualMLP

_MOST = 4096  # examples that the components are found in
_SMALL = 0.02  # of the weights of what is learnt, beside what is measured


class PrincipalComponents(nn.Module):
    """x ≈ mean + basis · (scale ⊙ u) with whitened coefficients u (n, components), over the data of unit variance each.

    The basis is kept in bfloat16: it is by far the largest thing that a step must read, and what its rounding leaves out of
    the plane is less than a thousandth of a picture's squared distance from the mean.
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...], components: int) -> None:
        super().__init__()
        self.shape, self.components, size = shape, components, math.prod(shape)
        if components > size:
            raise UserError(f"model.network.components={components}: an example has only {size:,} values")
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.zeros(size, components, dtype=torch.bfloat16))
        self.register_buffer("scale", torch.ones(components))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """The leading components of examples x (n, *shape), 4,096 at most, by the smaller of the two matrices of products.

        A component that is hardly there counts as one of a thousandth of the first: else whitening would blow up its noise.
        """
        x = x[:_MOST].flatten(1)
        if len(x) <= self.components:
            raise UserError(f"model.network.components={self.components}: only {len(x):,} examples to find them in")
        self.mean.copy_(x.mean(0))
        x = x - self.mean
        wide = len(x) <= x.shape[1]
        values, vectors = torch.linalg.eigh((x @ x.T if wide else x.T @ x).double())
        values, vectors = values[-self.components :].flip(0), vectors[:, -self.components :].flip(1)
        values = values.clamp(min=1e-6 * float(values[0]))
        self.basis.copy_((x.T @ (vectors / values.sqrt()).to(x.dtype)) if wide else vectors)
        self.scale.copy_((values / len(x)).sqrt())

    def reduce(self, x: Tensor) -> Tensor:
        """The coefficients scale ⊙ u of x, and its squared distance from the plane of all pictures that have some,
        (n, components + 1); of such rows, themselves.
        """
        if x.dim() == 2:
            return x
        centred = x.flatten(1) - self.mean
        coefficients = (centred @ self._basis(x)).float()
        rest = (centred.square().sum(1) - coefficients.square().sum(1)).clamp(min=0)
        return torch.cat([coefficients, rest[:, None]], dim=1)

    def whiten(self, x: Tensor) -> Tensor:
        """u, (n, components), of x or of what `reduce` makes of it."""
        if x.dim() == 2 and len(self.shape) > 1:
            return x[:, :-1] / self.scale
        return (x.flatten(1) - self.mean) @ self._basis(x) / self.scale

    def colour(self, u: Tensor) -> Tensor:
        """mean + basis · (scale ⊙ u), (n, *shape)."""
        coefficients = u * self.scale
        with all_digits(u.device) if len(self.shape) == 1 else nullcontext():  # points are told from others by every digit
            return (coefficients @ self._basis(coefficients).T + self.mean).unflatten(1, self.shape)

    def _basis(self, like: Tensor) -> Tensor:
        return self.basis if torch.is_autocast_enabled(like.device.type) else self.basis.to(like.dtype)


class PrincipalEncoder(Encoder):
    """Pictures x (n, *shape), condition c (n, condition) → features: those of an MLP, and the coefficients u themselves.

    The MLP sees every coefficient less amplified the weaker it is, u · s/(s + 0.3), s its standard deviation. `rows`: whether the
    decoder draws in the plane of the components, so that what `reduce` says of pictures is enough for it.
    """

    def __init__(
        self, principal: PrincipalComponents, widths: Sequence[int], condition: int, activation: Activation, rows: bool = True
    ) -> None:
        super().__init__()
        self.principal, self.rows = principal, rows
        self.net = ResidualMLP([principal.components + condition, *widths], activation)
        self.nonlinear, self.features = widths[-1], widths[-1] + principal.components

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        u = self.principal.whiten(x)
        shrunk = u * (self.principal.scale / (self.principal.scale + 0.3))
        return torch.cat([self.net(torch.cat([shrunk, c], dim=1)), u], dim=1)

    def reduce(self, x: Tensor) -> Tensor | None:
        """Of pictures alone: what are rows themselves could not be told from these."""
        return self.principal.reduce(x) if self.rows and len(self.principal.shape) > 1 else None

    def measure(self, x: Tensor) -> None:
        """Find the components of examples x."""
        self.principal.fit(x)

    def linear(self) -> tuple[Tensor, int]:
        return self.principal.scale, self.nonlinear


class PrincipalDecoder(Decoder):
    """Latents z (n, latent), condition c (n, condition) → pictures (n, *shape): a linear map plus an MLP give the coefficients.

    The linear map begins as u = (z, 0): what is decoded first is the probabilistic PCA.
    """

    def __init__(
        self, principal: PrincipalComponents, latent: int, widths: Sequence[int], condition: int, activation: Activation
    ) -> None:
        super().__init__()
        self.principal = principal
        self.net = ResidualMLP([latent + condition, *widths], activation)
        self.out = nn.Linear(widths[-1], principal.components)
        self.linear = nn.Parameter(torch.eye(latent, principal.components))
        with torch.no_grad():
            self.out.weight.mul_(_SMALL)
            self.out.bias.zero_()

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.principal.colour(self.whitened(z, c))

    def whitened(self, z: Tensor, c: Tensor) -> Tensor:
        """u of the pictures, (n, components)."""
        return self.out(self.net(torch.cat([z, c], dim=1))) + z @ self.linear

    def squares(self, rows: Tensor, z: Tensor, c: Tensor) -> Tensor:
        """By Pythagoras, without drawing a picture: squared distances in the plane, which orthogonal axes keep, and of it."""
        coefficients = (self.whitened(z.flatten(0, 1), c) * self.principal.scale).float().unflatten(0, z.shape[:2])
        return (rows[:, :-1] - coefficients).square().sum(-1) + rows[:, -1]
