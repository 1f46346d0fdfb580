"""Encoder and decoder that learn no picture: one latent says which of the training pictures is meant."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.nn.pairs import Decoder, Encoder

_SIDE = 24  # pixels a side that pictures are compared at
_WITHIN = 6.0  # standard deviations of a posterior in its interval: 0.3 % of its samples mean a neighbour


class Exemplars(nn.Module):
    """Training pictures x_0 … x_{N−1}, each meant by an interval of one latent number of probability 1/N under N(0, 1):

        i(z) = ⌊N Φ(z)⌋,      and in z, N(m_i, s_i²) with m_i = Φ⁻¹((i + ½)/N), s_i = √(2π) e^(m_i²/2) / (6 N).

    To say which one is meant costs KL(N(m_i, s_i²) ‖ N(0, 1)) = ln N + 0.37 nats, but for the outermost. The pictures are put in
    an order in which neighbours are alike: each is followed by the one most like it of those that are left.
    """

    pictures: Tensor
    thumbnails: Tensor

    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        super().__init__()
        self.shape, self.count = shape, count
        self.register_buffer("pictures", torch.zeros(count, *shape, dtype=torch.float16))
        self.register_buffer("thumbnails", torch.zeros(count, thumbnails(torch.zeros(1, *shape)).shape[1]))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Keep examples x (n, *shape): the first `count`, or all in turn where there are fewer."""
        x = x[torch.arange(self.count, device=x.device) % len(x)]
        small = thumbnails(x)
        distances = torch.cdist(small, small)
        order = [0]
        for _ in range(self.count - 1):
            distances[:, order[-1]] = math.inf
            order.append(int(distances[order[-1]].argmin()))
        self.pictures.copy_(x[order])
        self.thumbnails.copy_(small[order])

    def nearest(self, x: Tensor, skipped: int = 0) -> Tensor:
        """The number of the exemplar most like each of x, when so many that are more so are passed over: (n,)."""
        distances = torch.cdist(thumbnails(x), self.thumbnails)
        return distances.topk(min(skipped, self.count - 1) + 1, largest=False).indices[:, -1]

    def told(self, index: Tensor) -> Tensor:
        """m_i and ln s_i², (n, 2)."""
        mean = torch.special.ndtri((index.double() + 0.5) / self.count)
        log_std = 0.5 * mean.square() + 0.5 * math.log(2 * math.pi) - math.log(_WITHIN * self.count)
        return torch.stack([mean, 2 * log_std], dim=1).to(self.thumbnails)

    def meant(self, z: Tensor) -> Tensor:
        """i(z), of the shape of z."""
        return (self.count * torch.special.ndtr(z.double())).long().clamp(max=self.count - 1)


class ExemplarEncoder(Encoder):
    """Pictures x → what stands for the exemplar most like x, (n, 2): there is nothing to learn.

    In training x is an exemplar itself; the `apart` most like x, it among them, are then passed over, so that what is learnt is
    how a picture differs from the nearest of those that were not taken beside it.
    """

    features = 2
    looks_up = True

    def __init__(self, exemplars: Exemplars, apart: int) -> None:
        super().__init__()
        self.exemplars, self.apart = exemplars, apart

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self.exemplars.told(self.exemplars.nearest(x, self.apart if self.training else 0))

    def measure(self, x: Tensor) -> None:
        """Keep examples x."""
        self.exemplars.fit(x)


class ExemplarDecoder(Decoder):
    """The exemplar that is meant, as it is: z (n, 1) → (n, *shape). It has no gradient."""

    def __init__(self, exemplars: Exemplars) -> None:
        super().__init__()
        self.exemplars = exemplars

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.exemplars.pictures[self.exemplars.meant(z[:, 0])].to(z)


def thumbnails(x: Tensor) -> Tensor:
    """What pictures x (n, channels, height, width) are compared by: at most 24 pixels a side, (n, values)."""
    height, width = (min(_SIDE, side) for side in x.shape[2:])
    return F.adaptive_avg_pool2d(x.float(), (height, width)).flatten(1)


def check_exemplars(shape: tuple[int, ...], condition: int) -> None:
    """UserError where examples are no pictures, or classes are given."""
    if len(shape) != 3:
        raise UserError("model/network=exemplars: the examples are no pictures", hint="model/network=mlp")
    if condition:
        raise UserError("model/network=exemplars: which exemplar is meant says the class", hint="model.conditional=false")
