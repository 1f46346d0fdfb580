"""The vectors that noise is added to: the data themselves, in other units, or what is left of pictures in fewer dimensions."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.data.base import DataSpec
from genexp.errors import UserError
from genexp.nn.principal import PrincipalComponents
from genexp.registry import Registry


class Space(nn.Module):
    """Examples x (n, *shape) ↔ vectors u (n, dim), by a linear map that is measured before training.

    Told when built: the spec of the data, and the model's name for a message. `exact`: the map loses nothing;
    `identity`: it does nothing.
    """

    dim: int
    exact = True
    identity = False

    def measure(self, x: Tensor) -> None:
        """Look once at training examples."""

    def into(self, x: Tensor) -> Tensor:
        """u, (n, dim)."""
        return x

    def back(self, u: Tensor) -> Tensor:
        """x, (n, *shape)."""
        return u

    @property
    def units(self) -> tuple[Tensor, Tensor]:
        """Of an exact one the mean, (dim,), and the scale s, (), of x = mean + s u."""
        raise NotImplementedError


spaces = Registry("space", "genexp.velocity", Space)


@spaces.register("as_is")
class AsIs(Space):
    """u = x, of data that are points.

    Raises:
        UserError: the data are no points.
    """

    identity = True
    mean: Tensor
    scale: Tensor

    def __init__(self, spec: DataSpec, who: str) -> None:
        super().__init__()
        self.dim = spec.points(who)
        self.register_buffer("mean", torch.zeros(self.dim), persistent=False)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    @property
    def units(self) -> tuple[Tensor, Tensor]:
        return self.mean, self.scale


@spaces.register("standard")
class Standard(Space):
    """u = (x − mean)/s with one s for all coordinates, so that their mean variance is 1; of data that are points.

    Raises:
        UserError: the data are no points.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: DataSpec, who: str) -> None:
        super().__init__()
        self.dim = spec.points(who, hint="model/space=principal learns pictures among their principal components")
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        self.mean.copy_(x.mean(0))
        self.scale.copy_((x - self.mean).square().mean().sqrt().clamp(min=1e-8))

    def into(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale

    def back(self, u: Tensor) -> Tensor:
        return self.mean + self.scale * u

    @property
    def units(self) -> tuple[Tensor, Tensor]:
        return self.mean, self.scale


@spaces.register("principal")
class Principal(Space):
    """The leading principal components of pictures, or of points, in a common unit: their mean variance is 1. What the others
    hold is lost, and the values of data in [0, 1] are clipped to that.

    Args:
        components: how many; of data with fewer values as many as there are.

    Raises:
        UserError: there are no more examples than components.
    """

    exact = False

    def __init__(self, spec: DataSpec, who: str, *, components: Annotated[int, Field(ge=1, le=65_536)] = 128) -> None:
        super().__init__()
        spec.check_kind(("real", "unit"), f"model={who}")
        self.dim = min(components, math.prod(spec.shape))
        self.bounded = spec.kind == "unit" or len(spec.shape) == 3
        self.principal = PrincipalComponents(spec.shape, self.dim)

    def measure(self, x: Tensor) -> None:
        if len(x) <= self.dim:
            raise UserError(f"model.space.components={self.dim}: there are only {len(x):,} examples to find them in")
        self.principal.fit(x)

    def into(self, x: Tensor) -> Tensor:
        return self.principal.whiten(x) * self.shares

    def back(self, u: Tensor) -> Tensor:
        x = self.principal.colour(u / self.shares)
        return x.clamp(0, 1) if self.bounded else x

    @property
    def shares(self) -> Tensor:
        """The standard deviation of each coordinate of u, (dim,)."""
        return self.principal.scale / self.principal.scale.square().mean().sqrt()
