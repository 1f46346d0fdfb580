"""Several scales in one bijection (channels, height, width) → ℝᴰ, so that one base N(0, I) is all the noise there is.

Each level squeezes, goes through its steps and gives out half of its channels, from which a learnt prior takes off what the other
half tells of them; the other half goes on. z is what the last level gives out, then that of the level before it, …: first the
picture in the large, details last.

Sources: Dinh et al., Density Estimation Using Real NVP (2017), section 3.6; Kingma & Dhariwal, Glow (2018), for the learnt prior.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genexp.bijections.base import Transformer, transformers
from genexp.bijections.picture_base import PictureBijection, Shape, picture_bijections
from genexp.bijections.picture_coupling import PictureCoupling
from genexp.bijections.squeeze import Squeeze
from genexp.errors import UserError
from genexp.registry import Part

Steps = Callable[[Shape, int], Sequence[PictureBijection]]


class MultiScale(PictureBijection):
    """x (n, C, H, W) → z (n, D).

    Args:
        steps: (shape, level) → the bijections of that level, after its squeeze; the first of them with the shape given.
        scales: how many levels.
        prior: (shape, layer) → a coupling that moves the half given out, by what it sees of the other: an affine one is Glow's.

    `sizes`: how many numbers of z each scale has, the coarsest first.

    Raises:
        UserError: sides that cannot be halved once for each scale.
    """

    def __init__(self, shape: Shape, scales: int, steps: Steps, prior: Callable[[Shape, int], PictureCoupling]) -> None:
        if any(side % 2**scales for side in shape[1:]):
            size = "×".join(map(str, shape[1:]))
            raise UserError(
                f"a picture of {size} cannot be halved {scales} times, once for each scale", hint="model.couplings=[4]"
            )
        super().__init__(shape, (math.prod(shape),))
        self.levels, self.priors, given = nn.ModuleList(), nn.ModuleList(), []
        for level in range(scales):
            squeeze = Squeeze(shape, 0)
            shape = squeeze.after  # type: ignore[assignment]
            self.levels.append(nn.ModuleList([squeeze, *steps(shape, level)]))
            if level < scales - 1:
                self.priors.append(prior(shape, 0))  # the second half moves, given the first
                kept = shape[0] // 2
                given.append((shape[0] - kept, *shape[1:]))
                shape = (kept, *shape[1:])
        self.shapes = [shape, *given[::-1]]
        self.sizes = [math.prod(each) for each in self.shapes]

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        for number, level in enumerate(self.levels):
            for step in level:  # type: ignore[union-attr, attr-defined]
                step.initialise(x)
                x, _ = step(x)
            if number < len(self.priors):
                x, _ = self._split(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_det, given = x.new_zeros(len(x)), []
        for number, level in enumerate(self.levels):
            for step in level:  # type: ignore[union-attr, attr-defined]
                x, more = step(x)
                log_det = log_det + more
            if number < len(self.priors):
                x, more = self.priors[number](x)
                log_det = log_det + more
                x, out = self._split(x)
                given.append(out.flatten(1))
        return torch.cat([x.flatten(1), *given[::-1]], dim=1), log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        parts = [part.unflatten(1, shape) for part, shape in zip(z.split(self.sizes, dim=1), self.shapes, strict=True)]
        x, log_det = parts.pop(0), z.new_zeros(len(z))
        for number in reversed(range(len(self.levels))):
            if number < len(self.priors):
                x, more = self.priors[number].inverse(torch.cat([x, parts.pop(0)], dim=1))  # type: ignore[operator]
                log_det = log_det + more
            for step in reversed(self.levels[number]):  # type: ignore[call-overload]
                x, more = step.inverse(x)
                log_det = log_det + more
        return x, log_det

    @staticmethod
    def _split(x: Tensor) -> tuple[Tensor, Tensor]:
        """What goes on and what is given out."""
        return x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]


@picture_bijections.register("multi_scale")
def couplings_at_two_scales(
    shape: Shape, layer: int, *, transformer: Part[Transformer] = transformers.part("affine")
) -> MultiScale:
    """The least there is: one coupling at each of two scales.

    Args:
        transformer: of the couplings, and of the split prior.
    """

    def coupling(shape: Shape, layer: int) -> PictureCoupling:
        return PictureCoupling(shape, layer, width=8, transformer=transformer)

    return MultiScale(shape, 2, lambda shape, level: [coupling(shape, 0), coupling(shape, 1)], coupling)
