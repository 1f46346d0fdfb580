"""`model=causal_transformer`: next-token prediction by a decoder with causal attention, for symbols, bits and greys."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.autoregressive.base import Head, Heuristic, heads, heuristics, single
from genexp.autoregressive.tables import CountTables
from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.autoregressive import Autoregressive, Step, whole_numbers
from genexp.models.base import Terms
from genexp.nn.causal import CausalTransformer
from genexp.registry import Part, models
from genexp.settings import Fraction

LONGEST = 4_096


@models.register("causal_transformer")
class TransformerModel(Autoregressive):
    r"""p(x) = Π_i p(x_i | x_<i) of a sequence of whole numbers: the characters of a passage, the pixels of a picture row by row.

    Sampling keeps the keys and values of what is drawn already, so that each place is computed once.
    Source: Vaswani et al., Attention Is All You Need (2017); Chen et al., Generative Pretraining from Pixels (2020).

    In short:
        The probability of each number given all before it is learnt, so that the likelihood is exact; attention finds, for
        each place, which earlier ones tell of it.

    Equation:
        \ln p(x) = \sum_{i=1}^{D} \ln p(x_i | x_{<i}), \qquad p(x_i | x_{<i}) = \mathrm{head}(h_i)
        \mathrm{attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^T}{\sqrt{d}} + M\right) V, \quad
            M_{ij} = -\infty \text{ for } j > i

    Objective:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}} \sum_{i} \ln p_θ(x_i | x_{<i})

    Args:
        width, depth: of the blocks, and how many.
        attention_heads: of each block, by which the width is divided.
        reach: to how many places, itself among them, each place is connected directly in front of every attention and
            perceptron, each channel by itself; 0: by attention alone.
        dropout: in training.
        counts: numbers of context, at most, of tables of counts that are mixed with what the network says, with weights that
            are learnt (`genexp.autoregressive.tables`); of a million numbers of the training data at most; 0: no tables.
        head: p of one number given its parameters.
        heuristic: how samples are drawn.

    Raises:
        UserError: real numbers; sequences of more than 4,096; a width that the heads do not divide; counts with a head that
            has no probability for each value.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Annotated[int, Field(ge=1, le=8192)] = 128,
        depth: Annotated[int, Field(ge=1, le=64)] = 4,
        attention_heads: Annotated[int, Field(ge=1, le=64)] = 4,
        reach: Annotated[int, Field(ge=0, le=256)] = 0,
        dropout: Fraction = 0.0,
        counts: Annotated[int, Field(ge=0, le=8)] = 0,
        head: Part[Head] = heads.part("categorical"),
        heuristic: Part[Heuristic] = heuristics.part("none"),
    ) -> None:
        levels = whole_numbers(spec, "model=causal_transformer")
        super().__init__(spec, head, heuristic)
        if self.dim > LONGEST:
            raise UserError(f"model=causal_transformer takes {LONGEST:,} numbers at most, and an example has {self.dim:,}")
        if width % attention_heads:
            raise UserError(f"model.width={width} cannot be divided among model.attention_heads={attention_heads}")
        self.symbols = nn.Embedding(levels, width)
        nn.init.normal_(self.symbols.weight, std=0.02)
        if counts and self.head.outputs != levels:
            raise UserError("model.counts is for a head with a probability of each value", hint="model/head=categorical")
        self.tables = CountTables(levels, counts) if counts else None
        outputs = self.head.outputs + (0 if self.tables is None else self.tables.terms)
        self.network = CausalTransformer(self.dim, outputs, width, depth, attention_heads, dropout, reach)

    @property
    def can(self) -> frozenset[Ability]:
        words: set[Ability] = {"attention"} if self.tables is None else {"attention", "terms"}
        return super().can | words

    def features(self, x: Tensor) -> Tensor:
        return self.symbols(self.head.number(x))

    def parameters_of(self, features: Tensor) -> Tensor:
        return self.network(features)

    def initialise(self, batch: Batch) -> None:
        super().initialise(batch)
        if self.tables is not None:
            self.tables.count(self.head.number(batch.x.flatten(1)[:, self.order]))

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)] in nats per example; in training with tables, that of the network by itself is added.

        Tables know so much from the first step on that the network would otherwise only learn when to trust which of them.
        """
        if self.tables is None or not self.training:
            return super().loss(batch)
        log_terms, log_network = self._log_terms(batch.x)
        mixture, network = -log_terms.logsumexp(-1).sum(1).mean(), -log_network.sum(1).mean()
        return {"loss": mixture + network, "mixture": mixture, "network": network}

    def nats(self, x: Tensor) -> Tensor:
        if self.tables is None:
            return super().nats(x)
        return -self._log_terms(x)[0].logsumexp(-1)

    def shares(self, x: Tensor) -> Tensor:
        """How much of the probability of each number, in order, comes from the network and from each table, (n, dim, terms)."""
        return self._log_terms(x)[0].softmax(-1)

    def _log_terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """ln of each term of the mixture, (n, dim, terms), and ln p of the network by itself, (n, dim)."""
        assert self.tables is not None
        x = x.flatten(1)[:, self.order]
        raw, said = self._said(self.parameters_of(self.features(x)))
        log_network = self.head.log_prob(x, raw)
        return self.tables.log_terms(self.head.number(x), said, log_network, leave_out=self.training), log_network

    def told(self, x: Tensor, i: int) -> Tensor:
        return self._mixed(x, i, super().told(x, i))

    def step(self, n: int) -> Step:
        one = self.network.one_by_one(n)
        return lambda x, i: self._mixed(x, i, one(self.features(x[:, i - 1]) if i else None, i))

    def _said(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """What the network says to the head, and of the weights of the tables."""
        outputs = self.head.outputs
        return raw[..., :outputs], single(raw[..., outputs:])

    def _mixed(self, x: Tensor, i: int, raw: Tensor) -> Tensor:
        """What the head is told of number i, (n, outputs of the head), after those before it in x (n, dim)."""
        if self.tables is None:
            return raw
        raw, said = self._said(raw)
        return self.tables.log_table(self.head.number(x[:, :i]), said, self.head.log_table(raw))

    @torch.no_grad()
    def attention(self, x: Tensor) -> Tensor:
        """How much each place, in order, looks at each input before it, (layers, n, heads, dim, dim): input 0 is the start, and
        input j the number at place j − 1.
        """
        return self.network.attention(self.features(x.flatten(1)[:, self.order]))
