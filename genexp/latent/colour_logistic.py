"""A likelihood of coloured pictures whose three colours at a pixel depend on each other.

    p(x|z) = Π_pixels p(r|z) p(g|r, z) p(b|r, g, z),   each a discretised logistic of mean m_c + Σ_{b<c} a_cb (x_b − m_b).

What the decoder m gets wrong at a pixel, it gets wrong in all colours alike: a shadow, an edge that is a little off, a spot. Once
the red is known the others are nearly so. `logistic` pays for each of the three as if the others were not there.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from genexp.data.base import DataSpec, Kind
from genexp.latent.likelihoods import DiscretisedLogistic, Likelihood, likelihoods
from genexp.settings import Scale

_SEEN = 1_024  # the first examples, on which the beginning is measured


@likelihoods.register("colour_logistic")
class ColourLogistic(Likelihood):
    """Greys whose colours are given one after the other; a_cb and the scale are learnt for each pixel, and begin as a linear
    regression of what the decoder leaves at first. Data without colours have none to couple: for them it is `logistic`.

    Source: Salimans et al., PixelCNN++ (2017), section 2.2.

    Args:
        sigma: the standard deviation to begin with, where nothing has been measured.
        learn_sigma: whether the scales are learnt, by their logarithm.
    """

    has_pairs = False
    independent = False
    kinds: ClassVar[tuple[Kind, ...]] = ("unit", "bits")
    within = (0.0, 1.0)
    later: Tensor

    def __init__(self, spec: DataSpec, *, sigma: Scale = 0.1, learn_sigma: bool = True) -> None:
        super().__init__(spec)
        self.pixels = DiscretisedLogistic(spec, sigma=sigma, learn_sigma=learn_sigma)
        self.colours = spec.shape[0] if len(spec.shape) == 3 else 1
        self.coupling = nn.Parameter(torch.zeros(self.colours, *spec.shape), requires_grad=self.colours > 1)
        later = torch.ones(self.colours, self.colours).tril(-1)
        self.register_buffer("later", later[..., None, None], persistent=False)

    @torch.no_grad()
    def initialise(self, x: Tensor, reconstruct: Callable[[Tensor], Tensor]) -> None:
        """Let a be the least squares of one colour's error by those before it, at each pixel, and the scales what is left; of the
        first examples x, which `reconstruct` gives the decoder's outputs of.
        """
        x = x[:_SEEN]
        half_a_bin = 0.5 / (self.levels - 1)
        error = x - reconstruct(x).float()
        left = error.clone()
        for c in range(1, self.colours):
            before = error[:, :c].permute(2, 3, 1, 0)  # (height, width, c, n)
            gram = before @ before.mT / len(x) + half_a_bin**2 * torch.eye(c, device=x.device)
            found = torch.linalg.solve(gram, before @ error[:, c].permute(1, 2, 0)[..., None] / len(x))
            self.coupling[c, :c] = found[..., 0].permute(2, 0, 1)
            left[:, c] -= (self.coupling[c, :c] * error[:, :c]).sum(1)
        if self.pixels.log_scale.requires_grad:
            deviation = left.square().mean(0).sqrt().clamp(min=half_a_bin)
            self.pixels.log_scale.copy_(torch.log(deviation * math.sqrt(3) / math.pi))

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        return self.pixels.log_prob(x, self.located(x, raw.float()))

    def located(self, x: Tensor, raw: Tensor) -> Tensor:
        """The mean of each colour given those before it, m_c + Σ_{b<c} a_cb (x_b − m_b), of the shape of `raw`."""
        error = x - raw
        for b in range(self.colours - 1):
            raw = raw + error[..., b : b + 1, :, :] * (self.coupling[:, b] * self.later[:, b])
        return raw

    def sample(self, raw: Tensor) -> Tensor:
        raw = raw.float()
        x = self.pixels.sample(raw)
        for c in range(1, self.colours):  # the colours before c stay as they were drawn
            x = torch.cat([x[..., :c, :, :], self.pixels.sample(self.located(x, raw))[..., c:, :, :]], dim=-3)
        return x

    def mean(self, raw: Tensor) -> Tensor:
        return self.pixels.mean(raw)

    def from_mean(self, mean: Tensor) -> Tensor:
        return mean

    def bits_per_dim(self, nats: float, size: int) -> float | None:
        return self.pixels.bits_per_dim(nats, size)
