"""What keeps a bijection one, whatever its parameters are."""

import math

import torch.nn.functional as F
from torch import Tensor

_MINIMUM = 1e-3  # of the slope that is left
_ONE = math.log(math.expm1(1 - _MINIMUM))


def above_minus_one(free: Tensor) -> Tensor:
    """softplus(free + const) − 1 + 0.001: any number → one above −1, so that 1 plus it is a slope; 0 → 0."""
    return F.softplus(free + _ONE) + _MINIMUM - 1
