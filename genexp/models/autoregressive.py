"""What the autoregressive models share: p(x) = Π_i p(x_i | x_<i), exactly, and ancestral sampling."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from genexp.autoregressive.base import Head, Heuristic, levels_of, single
from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part

Step = Callable[[Tensor, int], Tensor]  # elements (n, dim) in order, of which i are drawn → what the head is told of the next


class Autoregressive(GenerativeModel):
    """ln p(x) = Σ_i ln p(x_i | x_<i), the numbers of an example taken in the order `order`, (dim,): that of its axes, unless a
    model says otherwise.

    A model of this kind says what its network sees of each number (`features`), and gives the head the parameters of each number
    from those before it (`parameters_of`). `step` does the same for one number after another, and keeps what it needs again.
    """

    objective: Objective = "nll"
    order: Tensor
    cached = True  # whether `step` saves work

    def __init__(self, spec: DataSpec, head: Part[Head], heuristic: Part[Heuristic]) -> None:
        super().__init__()
        self.shape, self.dim = spec.shape, math.prod(spec.shape)
        self.head, self.heuristic = head(spec), heuristic()
        if self.head.levels is None and not self.heuristic.plain:
            raise UserError(f"model/heuristic={heuristic.name} is of whole numbers; these data are real numbers")
        self.register_buffer("order", torch.arange(self.dim))

    @property
    def can(self) -> frozenset[Ability]:
        words: set[Ability] = {"sample", "exact", "autoregressive"}
        return frozenset(words | ({"discrete"} if self.head.levels is not None else set()))

    # --- what a model of this kind says -----------------------------------------------------------------------

    def features(self, x: Tensor) -> Tensor:
        """Numbers (n, dim) in order → what the network sees of each, (n, dim, width)."""
        raise NotImplementedError

    def parameters_of(self, features: Tensor) -> Tensor:
        """(n, dim, width) → (n, dim, outputs of the head), where [:, i] depends on features[:, :i] alone."""
        raise NotImplementedError

    def step(self, n: int) -> Step:
        """What gives the parameters of n numbers, one place after another from 0 on."""
        return self.told

    def told(self, x: Tensor, i: int) -> Tensor:
        """What the head is told of number i after those before it in x (n, dim), (n, outputs of the head), computed anew."""
        return self.parameters_of(self.features(x))[:, i]

    # --- what follows -----------------------------------------------------------------------------------------

    def initialise(self, batch: Batch) -> None:
        self.head.initialise(batch.x.flatten(1))

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)], in nats per example."""
        return {"loss": self.nats(batch.x).sum(1).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x) in nats, (n,)."""
        return -self.nats(x).sum(1)

    def nats(self, x: Tensor) -> Tensor:
        """x (n, *shape) → −ln p(x_i | x_<i), (n, dim), in order: what each number costs when those before it are known."""
        x = x.flatten(1)[:, self.order]
        return -self.head.log_prob(x, self.parameters_of(self.features(x)))

    def in_place(self, values: Tensor) -> Tensor:
        """Values in order, (n, dim), at their places in an example, (n, *shape)."""
        return values[:, self.order.argsort()].unflatten(1, self.shape)

    def sample(self, n: int) -> Tensor:
        """n examples, (n, *shape)."""
        kind = torch.long if self.head.kind == "tokens" else next(self.parameters()).dtype
        return self.complete(torch.zeros(n, *self.shape, dtype=kind, device=self.device), 0)

    @torch.no_grad()
    def complete(self, x: Tensor, known: int, cached: bool = True) -> Tensor:
        """Examples x (n, *shape) whose first `known` numbers, in order, stay; the others are drawn. Without the cache every
        step computes everything anew: the same samples.
        """
        x = x.flatten(1)[:, self.order].clone()
        noise = torch.rand(*x.shape, 2, device=x.device)
        step = self.step(len(x)) if cached else Autoregressive.step(self, len(x))
        for i in range(self.dim):
            raw = step(x, i) if cached or i >= known else None  # a cache is told every one of them
            if i >= known:
                assert raw is not None
                raw = single(raw)  # in bfloat16 noise has 256 values, and rare symbols would never be drawn
                x[:, i] = self.head.draw(raw, noise[:, i].to(raw), self.heuristic).to(x)
        return self.in_place(x)

    def influence(self, x: Tensor, place: int) -> dict[str, Tensor]:
        """Name → how much the parameters of the number at `place`, in order, depend on each number: the root mean square of the
        gradient over what the network sees of it and over the examples, (*shape), and which network it is of.
        """
        return {"": self._influence(self.parameters_of, x, place)}

    @torch.enable_grad()
    def _influence(self, network: Callable[[Tensor], Tensor], x: Tensor, place: int) -> Tensor:
        seen = self.features(x.flatten(1)[:, self.order]).detach().requires_grad_()
        raw = network(seen)[:, place]
        total = torch.zeros_like(seen[..., 0])
        for direction in torch.randn(4, raw.shape[-1], device=raw.device):  # random sums of the outputs
            gradient = torch.autograd.grad((raw * direction.to(raw)).sum(), seen, retain_graph=True)[0]
            total = total + gradient.square().sum(-1)
        return self.in_place(total.mean(0, keepdim=True).sqrt())[0].detach()


class Attentive(Protocol):
    """A model whose `attention(x)` says which places each place looks at: (layers, n, heads, dim, dim), rows sum to one."""

    def attention(self, x: Tensor) -> Tensor: ...


def whole_numbers(spec: DataSpec, model: str) -> int:
    """How many values the data have; UserError where they are real numbers, which the model cannot learn."""
    levels = levels_of(spec)
    if levels is None:
        raise UserError(
            f"{model} learns bits, greys and symbols; these data are real numbers", hint="genexp list models --data NAME"
        )
    return levels
