"""Samplers whose samples are true ones, spoilt."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.failures.base import Real, failures

WIDER, SHIFT, OUTLIERS = 0.75, 0.5, 0.01


@failures.register("blur")
def blur(real: Real, n: int) -> Tensor:
    """points: noise three quarters as wide as a mode; pictures: each pixel the mean, 1:2:1, of itself and its neighbours"""
    x = real.fresh[:n]
    if not real.pictures:
        return x + WIDER * real.spread * torch.randn_like(x)
    line = x.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])


@failures.register("shift")
def shift(real: Real, n: int) -> Tensor:
    """points: half a mode's width to the right; pictures: a sixteenth of the picture"""
    x = real.fresh[:n]
    if real.pictures:
        return x.roll(max(1, x.shape[3] // 16), 3)
    return x + SHIFT * real.spread * F.one_hot(torch.tensor(0), x.shape[1]).to(x)


@failures.register("outliers")
def outliers(real: Real, n: int) -> Tensor:
    """one in a hundred is nothing: points four times as far out, pictures of noise"""
    x = real.fresh[:n]
    spoilt = torch.rand(n) < OUTLIERS
    if real.pictures:
        nothing = torch.rand_like(x)
    else:
        middle, width = real.fresh.mean(0), real.fresh.std(0)
        away = F.normalize(torch.randn_like(x), dim=1)
        nothing = middle + 4 * width * away
    return torch.where(spoilt.view(-1, *[1] * (x.dim() - 1)), nothing, x)
