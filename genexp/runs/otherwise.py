"""A trained model that draws its samples in another way, and is in all else the model that it was."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from genexp.models.base import GenerativeModel


class SampledOtherwise(GenerativeModel):
    """`model`, but that `draw(n)` are its samples; its likelihood is that of the model itself."""

    def __init__(self, model: Any, draw: Callable[[int], Tensor]) -> None:
        super().__init__()
        self.model, self.draw = model, draw

    @property
    def can(self) -> Any:
        return self.model.can

    @property
    def device(self) -> torch.device:
        return cast(torch.device, self.model.device)

    def log_prob(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model.log_prob(x))

    def sample(self, n: int) -> Tensor:
        return self.draw(n)
