"""Gaussian numbers by Box and Muller, Marsaglia's polar method, and the ziggurat.

Sources: Box & Muller, A note on the generation of random normal deviates (1958); Marsaglia & Bray, A convenient method for
generating normal variables (1964); Marsaglia & Tsang, The ziggurat method (2000).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genexp.registry import Registry
from genexp.samplers.base import Drawn, Stage, Stream, Transform, standard_cdf, transforms

PART = 2**18  # numbers of one round, which stay in the processor's cache
LAYERS = 256
BASE, AREA = 3.6541528853610088, 0.00492867323399  # where the ziggurat's lowest layer ends, and the area of each


class Gaussian(Transform):
    """Base of what gives independent numbers of N(0, 1): what is left to say is `numbers`. Told when built: `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.covariance = torch.eye(dim, dtype=torch.float64)

    def numbers(self, stream: Stream, n: int) -> Drawn:
        """n numbers, (n,)."""
        raise NotImplementedError

    def draw(self, stream: Stream, n: int) -> Drawn:
        found = self.numbers(stream, n * self.dim)
        return Drawn(found.x.reshape(n, self.dim), found.proposed, found.kept)

    def uniformised(self, x: Tensor) -> Tensor:
        return standard_cdf(x)


gaussians = Registry("gaussian", "genexp.samplers", Gaussian)


def box_muller(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """z = √(−2 ln u) (cos 2πv, sin 2πv): two independent numbers of N(0, 1) from two in (0, 1]."""
    radius, angle = u.log().mul_(-2).sqrt_(), v * (2 * math.pi)
    return angle.cos().mul_(radius), angle.sin_().mul_(radius)


@gaussians.register("box_muller")
@transforms.register("box_muller")
class BoxMuller(Gaussian):
    """Two uniform numbers are a point of the disc, (√u cos 2πv, √u sin 2πv); its radius is stretched to √(−2 ln u)."""

    def numbers(self, stream: Stream, n: int) -> Drawn:
        """Numbers of up to 32 bits are computed as float32: near 0, where it counts, u has them all."""
        dtype = torch.float32 if stream.bits <= 32 else torch.float64
        found = torch.empty(n + n % 2, dtype=dtype)
        for part in found.split(PART):
            half = len(part) // 2
            u = stream.positive(len(part), dtype)
            part[:half], part[half:] = box_muller(u[:half], u[half:])
        return Drawn(found[:n])

    def stages(self, stream: Stream, n: int) -> list[Stage]:
        u, v = stream.positive(n), stream.positive(n)
        angle = 2 * math.pi * v
        square = torch.stack([u, v], dim=1)
        disc = torch.stack([u.sqrt() * angle.cos(), u.sqrt() * angle.sin()], dim=1)
        bell = torch.stack(box_muller(u, v), dim=1)
        return [Stage("square", square, square, u), disc_stage(disc, u), Stage("bell", bell, standard_cdf(bell), u)]

    def largest(self, bits: int) -> float:
        """√(2 bits ln 2), from the least u there is: 6.660 of 32 bits, 5.768 of 24."""
        return math.sqrt(2 * bits * math.log(2))


def disc_stage(disc: Tensor, colour: Tensor) -> Stage:
    """Points that should be uniform in the unit disc: r² and the angle over 2π are uniform."""
    angle = torch.atan2(disc[:, 1], disc[:, 0]) / (2 * math.pi) % 1
    return Stage("disc", disc, torch.stack([disc.square().sum(1), angle], dim=1), colour)


@gaussians.register("marsaglia_polar")
@transforms.register("marsaglia_polar")
class MarsagliaPolar(Gaussian):
    """Points of the square that fall into the disc, s = v₁² + v₂² < 1, are stretched, z = v √(−2 ln s / s): no sine."""

    acceptance = math.pi / 4

    def numbers(self, stream: Stream, n: int) -> Drawn:
        found, have, proposed, kept = [], 0, 0, 0
        while have < n:
            v = 2 * stream.uniform(2 * round(0.66 * min(n - have, PART) + 8)).reshape(-1, 2) - 1
            s = v.square().sum(1)
            inside = (s < 1) & (s > 0)
            v, s = v[inside], s[inside]
            found.append((v * (-2 * s.log() / s).sqrt()[:, None]).flatten())
            have, proposed, kept = have + len(found[-1]), proposed + len(inside), kept + len(s)
        return Drawn(torch.cat(found)[:n] if found else torch.empty(0), proposed, kept)

    def stages(self, stream: Stream, n: int) -> list[Stage]:
        """The square holds what is not kept as well."""
        u = stream.uniform(2 * round(1.4 * n + 16)).reshape(-1, 2)
        v = 2 * u - 1
        s = v.square().sum(1)
        inside = ((s < 1) & (s > 0)).nonzero()[:n, 0]
        colour = torch.where((s < 1) & (s > 0), s, math.nan)
        disc, s = v[inside], s[inside]
        bell = disc * (-2 * s.log() / s).sqrt()[:, None]
        return [Stage("square", v, u, colour), disc_stage(disc, s), Stage("bell", bell, standard_cdf(bell), s)]

    def largest(self, bits: int) -> float:
        """√(−2 ln s) of the least s above 0: one of the two is 0, and the other 2^(1−bits)."""
        return math.sqrt(4 * (bits - 1) * math.log(2))


def ziggurat_edges() -> Tensor:
    """Where the layers under exp(−x²/2) end, (257,), float64: the lowest's width, as if it were a rectangle too, BASE, …, 0."""
    edges = [AREA * math.exp(BASE**2 / 2), BASE]
    for _ in range(LAYERS - 2):
        edges.append(math.sqrt(-2 * math.log(AREA / edges[-1] + math.exp(-(edges[-1] ** 2) / 2))))
    return torch.tensor([*edges, 0.0], dtype=torch.float64)


@gaussians.register("ziggurat")
@transforms.register("ziggurat")
class Ziggurat(Gaussian):
    """The area under the bell is cut into 256 layers of one size. A point of a random layer is nearly always inside; at the
    layer's rim it is compared with the bell, and beyond the lowest one the tail has a method of its own.
    """

    acceptance = math.sqrt(math.pi / 2) / (LAYERS * AREA)
    edges: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.register_buffer("edges", ziggurat_edges(), persistent=False)

    def numbers(self, stream: Stream, n: int) -> Drawn:
        found, have, proposed, kept = [], 0, 0, 0
        while have < n:
            z, inside = self.attempt(stream, round(1.01 * min(n - have, PART) + 8))
            found.append(z[inside])
            have, proposed, kept = have + len(found[-1]), proposed + len(z), kept + len(found[-1])
        return Drawn(torch.cat(found)[:n] if found else torch.empty(0), proposed, kept)

    def largest(self, bits: int) -> float:
        """Where the tail ends: BASE − ln(k 2^−bits)/BASE of the least k whose x = −ln(k 2^−bits)/BASE is kept, as even the
        least of the other numbers keeps none beyond √(2 bits ln 2): 9.72 of 32 bits, 8.21 of 24.
        """
        return BASE + largest_kept(bits, lambda u: -math.log(u) / BASE, math.sqrt(2 * bits * math.log(2)))

    def attempt(self, stream: Stream, n: int) -> tuple[Tensor, Tensor]:
        """n proposals, and which of them are kept."""
        edges = self.edges.cpu().double()
        layer = (stream.uniform(n) * LAYERS).long()
        z = (2 * stream.uniform(n) - 1) * edges[layer]
        inside = z.abs() < edges[layer + 1]
        tail = ~inside & (layer == 0)
        z[tail] = tail_beyond(stream, int(tail.sum()), BASE) * z[tail].sign()
        rim = (~inside & (layer > 0)).nonzero()[:, 0]
        low, high = (torch.exp(-edges[layer[rim] + above].square() / 2) for above in (0, 1))
        height = low + stream.uniform(len(rim)) * (high - low)
        inside[rim] = height < torch.exp(-z[rim].square() / 2)
        return z, inside | tail


def largest_kept(bits: int, function: Callable[[float], float], limit: float, first: int = 1, step: int = 1) -> float:
    """The largest f(k 2^−bits) below `limit` of k = first, first + step, … where f falls, by bisection."""
    low, high = 0, 2**bits // step - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if function((first + step * middle) * 2.0**-bits) < limit else (middle + 1, high)
    return function((first + step * low) * 2.0**-bits)


def tail_beyond(stream: Stream, n: int, start: float) -> Tensor:
    """n numbers of N(0, 1) given that they are greater than `start` (Marsaglia 1964)."""
    found = torch.empty(n, dtype=torch.float64)
    left = torch.arange(n)
    while len(left):
        x = -stream.positive(len(left)).log() / start
        kept = -2 * stream.positive(len(left)).log() > x.square()
        found[left[kept]] = start + x[kept]
        left = left[~kept]
    return found
