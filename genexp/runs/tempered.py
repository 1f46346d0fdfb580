"""`genexp sample --temperature`: samples of a flow from noise N(0, T²I) in place of N(0, I)."""

import math
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.models.base import GenerativeModel
from genexp.runs.trained import Trained


class Tempered(GenerativeModel):
    """A flow whose base is stretched by `temperature` when it samples; its likelihood is that of the flow itself."""

    def __init__(self, model: Any, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    @property
    def can(self) -> Any:
        return self.model.can

    @property
    def device(self) -> torch.device:
        return cast(torch.device, self.model.device)

    def log_prob(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model.log_prob(x))

    def sample(self, n: int) -> Tensor:
        z = self.temperature * self.model.sample_base(n)
        return cast(Tensor, self.model.pictures(z) if "reversible" in self.can else self.model.inverse(z)[0])


def at_temperature(trained: Trained, temperature: float) -> Trained:
    """The same run with a model that samples at that temperature.

    Raises:
        UserError: a temperature below 0; a model that is no flow; a flow whose base is bounded.
    """
    model: Any = trained.model
    if not 0 <= temperature < math.inf:
        raise UserError(f"--temperature {temperature}: 0 or more")
    if not {"layers", "reversible"} & model.can:
        raise UserError(f"--temperature: model={trained.settings.model['name']} is no flow, whose noise could be stretched")
    if model.base.bounded:
        raise UserError("--temperature is of Gaussian noise, and this flow begins from bounded noise")
    return replace(trained, model=Tempered(model, temperature).eval())
