"""The kinds of parts that a learnt velocity is put together from, but for its solver."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genexp.registry import Registry
from genexp.velocity.path import PathSample


class FieldNetwork(nn.Module):
    """A network F(x, t) from points x, (n, dim), and times t in [0, 1], (n,), to vectors, (n, dim).

    Told when built: `dim`, and of how many numbers a condition consists that it is given beside them; 0: there is none.
    """

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """F, (n, dim); `condition` is (n, condition)."""
        raise NotImplementedError

    def initialise(self, x: Tensor) -> None:
        """Look once at training points, (n, dim), before the first step. Most fields need not."""


@dataclass(frozen=True)
class Affine:
    """v = skip · x + scale · F, both (n, 1): how a velocity v and the output F of a network follow from each other."""

    skip: Tensor
    scale: Tensor

    def velocity(self, output: Tensor, x: Tensor) -> Tensor:
        return self.skip * x + self.scale * output

    def output(self, velocity: Tensor, x: Tensor) -> Tensor:
        return (velocity - self.skip * x) / self.scale


class Parametrisation:
    """What the network F predicts of the velocity v = E[y − x₀ | x_t = x]. On straight paths x_t = (1−t) x₀ + t y all predictions
    are affine in one another, and it is enough to say how v follows:

        the velocity  v            skip = 0             scale = 1
        the data      E[y | x_t]   skip = −1/(1−t)      scale = 1/(1−t)
        the noise     E[x₀ | x_t]  skip = 1/t           scale = −1/t

    Told when built: nothing. `data_scale`: standard deviation of the data's coordinates, where it is given; else it is measured.
    """

    data_scale: float | None = None

    def affine(self, t: Tensor, data_scale: Tensor) -> Affine:
        """How v follows from F at times t, (n,), for data of that scale, ()."""
        raise NotImplementedError


class TrainingTimes:
    """At which times t in (0, 1) the field is trained.

    Told when built: nothing. `finest`: about the least noise level τ = (1−t)/t that the field gets to know.
    """

    finest: float = 3e-3

    def draw(self, n: int, device: torch.device) -> Tensor:
        """n of them, (n,)."""
        raise NotImplementedError


class Target(nn.Module):
    """What the field is taught at points x_t of paths; its mean given x_t is E[y − x₀ | x_t] whatever the target.

    Told when built: `dim`. `first_look`: how many training points it wants to see before the first step; 0: it is content with
    what others want.
    """

    first_look = 0

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, path: PathSample, y: Tensor) -> Tensor:
        """Velocities, (n, dim), for paths that end in the data y, (n, dim)."""
        raise NotImplementedError

    def initialise(self, y: Tensor) -> None:
        """Look once at training points, (n, dim), before the first step."""


fields = Registry("field", "genexp.velocity", FieldNetwork)
parametrisations = Registry("parametrisation", "genexp.velocity", Parametrisation)
training_times = Registry("times", "genexp.velocity", TrainingTimes)
targets = Registry("target", "genexp.velocity", Target)
