"""Flows of pictures: greys get noise, go through a fixed map, and then a flow has them as a vector.

    k → y = (k + u)/L,  u ~ q(u|k) → v = preprocessing(y) → z = flow(v) ~ N(0, I)
    ln p(y) − ln q(u|k) = ln p_flow(v) + ln |∂v/∂y| − ln q(u|k)   ≤ ln P(k) + D ln L  in the mean over u

L is the number of greys and D that of the numbers of a picture. Both first steps stand outside of the flow, and both count.
"""

import math

import torch
from torch import Tensor

from genexp.bijections.base import Base, Bijection
from genexp.bijections.bases import Normal
from genexp.bijections.dequantisation import Dequantisation, continuous, greys
from genexp.bijections.multi_scale import MultiScale
from genexp.bijections.picture_base import Shape
from genexp.bijections.preprocessing import Preprocessing
from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.base import GenerativeModel, Terms
from genexp.models.flow import Flow
from genexp.registry import Part

MOST_NUMBERS = 4_096  # of a picture that a flow takes as a vector: its networks see every number, and so do its masks
LOOKED_AT = 512  # pictures that convolutions look at before the first step: every place of each tells of their few channels
PLAIN = {"dequantisation": "uniform", "preprocessing": "logit"}  # as flows of points, which have neither, are built


class PictureFlow(GenerativeModel):
    """A flow of vectors (D,) behind dequantisation and preprocessing.

    Args:
        spec: of pictures of greys.
        flow: from the preprocessed numbers, in the order of channels, rows and columns, to noise.

    Raises:
        UserError: pictures of something else than greys.
    """

    def __init__(self, spec: DataSpec, flow: Flow, dequantisation: Part[Dequantisation], preprocessing: Part[Preprocessing]):
        super().__init__()
        spec.check_kind(("unit",), "a flow of pictures")
        self.shape, self.levels = spec.shape, spec.greys
        self.dequantisation, self.preprocessing = dequantisation(spec.shape), preprocessing(self.levels)
        self.flow = flow

    @property
    def can(self) -> frozenset[Ability]:
        scaled: set[Ability] = {"scales"} if len(self.sizes) > 1 else set()
        words: set[Ability] = {"sample", "estimate", "dequantised", "reversible"}
        return frozenset(words | scaled)

    @property
    def objective(self) -> Objective:  # type: ignore[override]
        return "bound" if self.dequantisation.learnt else "nll"

    @property
    def base(self) -> Base:
        return self.flow.base

    @property
    def sizes(self) -> list[int]:
        """How many numbers of z each scale has, the coarsest first."""
        return next(
            (layer.bijection.sizes for layer in self.flow.bijections if isinstance(layer, Unflattened)), [len(self.flow.centre)]
        )

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        y, _ = self.dequantised(batch.x)
        self.preprocessing.initialise(y)
        self.flow.initialise(Batch(self.preprocessing(y)[0]))

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(y) − ln q(u|x)], in nats per picture."""
        for bijection in self.flow.bijections if self.training else ():
            bijection.before_step()  # type: ignore[operator]
        return {"loss": -self.log_prob(batch.x).mean()}

    def validate(self, batch: Batch) -> Terms:
        parts = [self.log_prob(part.x) for part in batch.split(512)]
        return {"loss": -torch.cat(parts).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(y) − ln q(u|x) of pictures x (n, *shape) with noise u that is drawn anew, in nats, (n,)."""
        y, log_q = self.dequantised(x)
        v, log_det = self.preprocessing(y)
        return self.flow.log_prob(v) + log_det - log_q

    # --- pictures and noise ----------------------------------------------------------------------------------

    def noise(self, x: Tensor) -> Tensor:
        """Pictures (n, *shape) → the noise u in [0, 1) that makes them continuous."""
        return self.dequantisation(x)[0]  # type: ignore[no-any-return]

    def dequantised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures → y in [0, 1), (n, D), and ln q(u|x), (n,)."""
        u, log_q = self.dequantisation(x)
        return continuous(x, u, self.levels).flatten(1), log_q

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures → z (n, D), by way of noise that is drawn anew, and ln |det ∂z/∂y|."""
        v, log_det = self.preprocessing(self.dequantised(x)[0])
        z, more = self.flow.transform(v)
        return z, log_det + more

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D) → pictures (n, *shape) in [0, 1] with noise, and ln |det ∂y/∂z|."""
        v, log_det = self.flow.inverse(z)
        y, more = self.preprocessing.inverse(v)
        return y.unflatten(1, self.shape), log_det + more

    def sample_base(self, n: int) -> Tensor:
        return self.flow.sample_base(n)

    def pictures(self, z: Tensor) -> Tensor:
        """z (n, D) → pictures of greys, (n, *shape)."""
        return greys(self.inverse(z)[0], self.levels)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n pictures of greys, (n, *shape)."""
        return self.pictures(self.sample_base(n))


class Unflattened(Bijection):
    """A bijection of pictures as one of vectors: (n, D) → (n, D)."""

    def __init__(self, bijection: MultiScale) -> None:
        super().__init__()
        self.bijection, self.shape = bijection, bijection.shape

    def initialise(self, x: Tensor) -> None:
        self.bijection.initialise(x[:LOOKED_AT].unflatten(1, self.shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.bijection(x.unflatten(1, self.shape))  # type: ignore[no-any-return]

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.bijection.inverse(z)
        return x.flatten(1), log_det


def picture_shape(spec: DataSpec, model: str) -> Shape:
    """That of data that are pictures of greys; UserError where they are something else, which `model` cannot learn."""
    if len(spec.shape) != 3:
        what = "×".join(map(str, spec.shape))
        raise UserError(f"{model} learns pictures, and not data of shape {what}", hint="genexp list models --data NAME")
    spec.check_kind(("unit",), model)
    return spec.shape[0], spec.shape[1], spec.shape[2]


def at_scales(
    spec: DataSpec, bijection: MultiScale, dequantisation: Part[Dequantisation], preprocessing: Part[Preprocessing]
) -> PictureFlow:
    """A flow of pictures that is one bijection at several scales, from N(0, I)."""
    size = sum(bijection.sizes)
    return PictureFlow(spec, Flow(size, [Unflattened(bijection)], Normal(size), False), dequantisation, preprocessing)


def as_vectors(spec: DataSpec, model: str, dequantisation: Part[Dequantisation], preprocessing: Part[Preprocessing]) -> DataSpec:
    """The spec of what a flow of vectors is to learn: the points themselves, or pictures as vectors of real numbers.

    Raises:
        UserError: a choice that is of pictures, where these are points; pictures of more than MOST_NUMBERS numbers, or no greys.
    """
    if len(spec.shape) != 3:
        chosen = {"dequantisation": dequantisation.name, "preprocessing": preprocessing.name}
        for key, name in chosen.items():
            if name != PLAIN[key]:
                raise UserError(f"model/{key}={name} is of pictures of greys, and these data are not")
        return spec
    dim = math.prod(picture_shape(spec, model))
    if dim > MOST_NUMBERS:
        hint = "a smaller dataset.size, or a flow of convolutions"
        raise UserError(f"{model} takes a picture as a vector, and {dim:,} numbers are too many for it", hint=hint)
    return DataSpec((dim,), kind="real")


def of_data(
    spec: DataSpec, flow: Flow, dequantisation: Part[Dequantisation], preprocessing: Part[Preprocessing]
) -> GenerativeModel:
    """The flow itself, where the data are points; behind dequantisation and preprocessing, where they are pictures.

    Raises:
        UserError: an objective that pictures, which have no known density, do not serve.
    """
    if len(spec.shape) != 3:
        return flow
    if flow.learns != "examples":
        raise UserError("pictures are learnt from examples", hint="model/objective=likelihood")
    return PictureFlow(spec, flow, dequantisation, preprocessing)
