"""`model=made`: a masked autoencoder. All conditionals come from one pass through a perceptron with missing connections."""

import copy
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from genexp.autoregressive.base import Head, Heuristic, heads, heuristics
from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.autoregressive import Autoregressive, Step
from genexp.models.base import Terms
from genexp.nn.mlp import Activation
from genexp.nn.orderings import OrderedMLP
from genexp.nn.window import CausalWindow
from genexp.registry import Part, models
from genexp.settings import Seed, Width

STRIDE = 1_000_003  # between the seeds of orderings
Several = Annotated[int, Field(ge=1, le=10_000)]


@models.register("made")
class MADE(Autoregressive):
    r"""p(x) = Π_i p(x_i | x_<i), whose parameters are the outputs of one perceptron with masks: a hidden unit of degree d sees
    the first d numbers of the order, and the outputs of number i see units of degree below i.

    With `orderings` > 1 each training batch is taken in one of so many orders, at random: the first is `order`, the others are
    random ones, and with `masks` > 1 the hidden units change their degrees too. One set of weights then has a p(x) in every
    order, `in_ordering(order)`; the same joint distribution would have the same p(x) in all of them.
    Sampling computes each hidden unit once, when the last number that it sees is drawn: as much work as a likelihood.
    Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation (2015).

    In short:
        The probability of each number given those before it is learnt, all of them by one network whose missing connections
        keep the order: an exact likelihood in one pass.

    Equation:
        \ln p(x) = \sum_{i=1}^{D} \ln p(x_i | x_{<i}), \qquad h = σ((W \odot M) x + b), \quad
            M_{ij} = 1 \text{ where } \mathrm{degree}_i \ge \mathrm{degree}_j, \text{ else } 0

    Objective:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}} \sum_{i} \ln p_θ(x_i | x_{<i})

    Args:
        width, hidden_layers, activation: of the perceptron.
        residual: whether a hidden layer is added to the one before it.
        direct: whether the outputs also see the numbers themselves.
        local: hidden channels of a small network of the pixels around each one that come before it, the same one for all pixels,
            whose outputs are added; of pictures of one channel, row by row; 0: none.
        local_size: pixels a side of the square that it sees the upper half of.
        order: `raster`, the order of the example's axes, or `random`.
        order_seed: of random orders.
        orderings: in how many orders it is trained.
        masks: with how many different degrees of the hidden units.
        head: p of one number given its parameters.
        heuristic: how samples are drawn.

    Raises:
        UserError: symbols, whose numbers have no order that a perceptron could use; `local` of what it is not for.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Width = 512,
        hidden_layers: Annotated[int, Field(ge=1, le=16)] = 2,
        activation: Activation = "relu",
        residual: bool = False,
        direct: bool = False,
        local: Annotated[int, Field(ge=0, le=4096)] = 0,
        local_size: Literal[3, 5, 7, 9, 11] = 9,
        order: Literal["raster", "random"] = "raster",
        order_seed: Seed = 0,
        orderings: Several = 1,
        masks: Several = 1,
        head: Part[Head] = heads.part("logistic_mixture"),
        heuristic: Part[Heuristic] = heuristics.part("none"),
    ) -> None:
        super().__init__(spec, head, heuristic)
        if spec.kind == "tokens":
            raise UserError("model=made learns numbers, and not symbols", hint="genexp list models --data NAME")
        self.order_seed, self.orderings, self.masks = order_seed, orderings, masks
        if order == "random":
            self.order.copy_(self._random(0))
        self.network = OrderedMLP(self.dim, self.head.outputs, width, hidden_layers, activation, residual, direct)
        for index, mask in enumerate(self.network.missing(self.order, self.network.degrees)):
            self.register_buffer(f"missing_{index}", mask, persistent=False)  # they follow from the order
        self.window: CausalWindow | None = None
        if local:
            if len(spec.shape) != 3 or spec.shape[0] != 1 or order != "raster" or orderings > 1:
                raise UserError("model.local is for pictures of one channel that are taken row by row", hint="model.local=0")
            self.window = CausalWindow(*spec.shape[1:], local, local_size, self.head.outputs, activation)

    @property
    def can(self) -> frozenset[Ability]:
        several: set[Ability] = {"orderings"} if self.orderings > 1 else set()
        return super().can | several

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Every number begins with its own frequencies, as if it were independent of the others."""
        super().initialise(batch)
        if (start := self.head.marginals(batch.x.flatten(1))) is not None:
            self.network.last.bias.copy_(start.flatten())

    # --- orderings --------------------------------------------------------------------------------------------

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)] in nats per example; in training, in an ordering and with masks drawn for this batch."""
        if not self.training or self.orderings == self.masks == 1:
            return super().loss(batch)
        drawn = [int(torch.randint(count, ())) for count in (self.orderings, self.masks)]
        chosen = self.in_ordering(self.ordering(drawn[0]), self.degrees_of(drawn[1]))
        return {"loss": chosen.nats(batch.x).sum(1).mean()}

    def in_ordering(self, order: Tensor, degrees: Tensor | None = None) -> Self:
        """The same weights, which take the numbers in another order (dim,), with hidden units of those degrees."""
        other = copy.copy(self)
        missing = self.network.missing(order, self.network.degrees if degrees is None else degrees)
        other._buffers = {**self._buffers, "order": order, **{f"missing_{index}": mask for index, mask in enumerate(missing)}}
        return other

    def ordering(self, k: int) -> Tensor:
        """The k-th order, (dim,): the first `orderings` are those of the training, all others are random and new to it."""
        return self.order if k == 0 else self._random(STRIDE * k).to(self.device)

    def degrees_of(self, k: int) -> Tensor:
        """The k-th degrees of the hidden units, (width,): as many of each degree, other units have them."""
        even, generator = self.network.degrees, torch.Generator().manual_seed(self.order_seed + STRIDE * k)
        return even if k == 0 else even[torch.randperm(len(even), generator=generator).to(even.device)]

    def _random(self, seed: int) -> Tensor:
        return torch.randperm(self.dim, generator=torch.Generator().manual_seed(self.order_seed + seed))

    # --- the network ------------------------------------------------------------------------------------------

    def features(self, x: Tensor) -> Tensor:
        return x[..., None].to(self.network.last.weight.dtype)

    def parameters_of(self, features: Tensor) -> Tensor:
        missing = [mask for name, mask in self._buffers.items() if name.startswith("missing_") and mask is not None]
        raw: Tensor = self.network(features[..., 0][:, self.order.argsort()], missing)[:, self.order]
        return raw if self.window is None else raw + self.window(features[..., 0])

    def step(self, n: int) -> Step:
        once = self.network.in_order(n, self.order, self.network.degrees)
        if self.window is None:
            return lambda x, i: once(self.features(x)[..., 0], i)
        near = self.window.in_order(n)
        return lambda x, i: once(self.features(x)[..., 0], i) + near(self.features(x)[..., 0], i)
