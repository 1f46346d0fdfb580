"""`model=altered`: the data themselves, altered: as they slide, widen or lose a mode. Nothing is learnt.

It is there for what is measured of it: how far the copy is from the data by every divergence, and what samples tell of that.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import models

Size = Annotated[int, Field(ge=16, le=2_048)]
Dimension = Annotated[int, Field(ge=1, le=256)]


@models.register("altered")
class Altered(GenerativeModel):
    r"""q is p, slid along the first coordinate by so many standard deviations: `sample` gives examples that it has moved.

    Where p is a known density on a line, all that is between p and q is found as q slides, widens and loses a mode, each little
    by little up to what the settings say; and, whatever p is, what estimators make of samples of two Gaussians N(0, I) and
    N(m, I), whose divergences are known in any dimension.

    In short:
        Nothing is learnt: the data themselves are altered by a known amount, so that what a divergence says of that, and what
        its estimators make of samples, can be held against the truth.

    Equation:
        q_{\mathrm{slide}}(x) = p(x - s \, σ \, e_1)
        q_{\mathrm{widen}}(x) = \frac{1}{w} \, p\!\left( μ + \frac{x - μ}{w} \right)
        q_{\mathrm{lose}}(x) \propto p(x) \, (1 \text{ below } μ, \; a \text{ above})

    Args:
        slide: standard deviations that q has slid in the end.
        widen: times as wide as p that q is in the end.
        left: share of what lies above the mean that q has in the end.
        apart: |m|, of the two Gaussians.
        dimensions: of these, in turn.
        sizes: samples of each of them, in turn; the last one for every dimension.
        repeats: of each estimate, with other samples.

    Raises:
        UserError: data that are no points.
    """

    fitter = "none"
    can: frozenset[Ability] = frozenset({"sample", "altered"})
    x: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        slide: Annotated[float, Field(ge=0.01, le=20)] = 3.0,
        widen: Annotated[float, Field(ge=1.01, le=20)] = 4.0,
        left: Annotated[float, Field(ge=1e-12, le=0.99)] = 1e-6,
        apart: Annotated[float, Field(ge=0.01, le=10)] = 1.0,
        dimensions: Annotated[list[Dimension], Field(min_length=1, max_length=12)] = [1, 2, 4, 8, 16, 32, 64],  # noqa: B006
        sizes: Annotated[list[Size], Field(min_length=1, max_length=12)] = [32, 64, 128, 256, 512],  # noqa: B006
        repeats: Annotated[int, Field(ge=2, le=1_000)] = 16,
    ) -> None:
        super().__init__()
        self.examples = 4_096
        self.ends = {"slide": slide, "widen": widen, "lose": left}
        self.apart, self.dimensions, self.sizes, self.repeats = apart, dimensions, sizes, repeats
        self.register_buffer("x", torch.zeros(self.examples, spec.points("altered")))

    def initialise(self, batch: Batch) -> None:
        """Keeps some examples, or as many copies of them as there is room for."""
        self.x.copy_(batch.x[torch.arange(len(self.x), device=batch.x.device) % len(batch.x)])

    def loss(self, batch: Batch) -> Terms:
        """There is none: 0."""
        return {"loss": self.x.new_zeros(())}

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n of the examples (n, dim), slid along the first coordinate."""
        drawn = self.x[torch.randint(len(self.x), (n,), device=self.x.device)].clone()
        drawn[:, 0] += self.ends["slide"] * self.x[:, 0].std()
        return drawn
