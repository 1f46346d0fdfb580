"""`genexp sample --temperature`: samples of a flow from noise N(0, T²I) in place of N(0, I)."""

import math
from dataclasses import replace
from typing import Any, cast

from torch import Tensor

from genexp.errors import UserError
from genexp.runs.otherwise import SampledOtherwise
from genexp.runs.trained import Trained


def tempered(model: Any, temperature: float) -> SampledOtherwise:
    """A flow whose base is stretched by `temperature` when it samples."""

    def draw(n: int) -> Tensor:
        z = temperature * model.sample_base(n)
        return cast(Tensor, model.pictures(z) if "reversible" in model.can else model.inverse(z)[0])

    return SampledOtherwise(model, draw)


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
    return replace(trained, model=tempered(model, temperature).eval())
