"""Causal self-attention: a place sees itself and the places before it.

Source: Vaswani et al., Attention Is All You Need (2017); the normalisation before each half, Radford et al. (2019).
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalAttention(nn.Module):
    """h (n, length, width) → the same shape, softmax(Q Kᵀ/√d + mask) V of each head, where place i sees places ≤ i."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def split(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (n, heads, length, width/heads) each."""
        q, k, v = self.inputs(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def join(self, values: Tensor) -> Tensor:
        return self.output(values.transpose(1, 2).flatten(2))

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = self.split(h)
        return self.join(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def weights(self, h: Tensor) -> Tensor:
        """How much each place looks at each, (n, heads, length, length); rows sum to one."""
        q, k, _ = self.split(h)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=h.device).triu(1)
        return scores.masked_fill(later, -math.inf).softmax(-1)


class Recent(nn.Module):
    """h_i ← h_i + Σ_{j<reach} w_j ⊙ h_{i−j}: each channel by itself also sees the few places before; begins as the identity.

    What a place is made of, a word from its letters, is then there for the first attention to look for.
    Source: So et al., Primer: Searching for Efficient Transformers for Language Modeling (2021).
    """

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(reach, width))

    def forward(self, h: Tensor) -> Tensor:
        """(n, length, width) → the same shape."""
        found, length = h + self.weights[0] * h, h.shape[1]
        for j in range(1, min(len(self.weights), length)):
            found = found + F.pad(self.weights[j] * h[:, : length - j], (0, 0, j, 0))
        return found

    def one_by_one(self, n: int) -> Callable[[Tensor], Tensor]:
        """The same for one place after another, (n, 1, width) each."""
        kept = self.weights.new_zeros(n, *self.weights.shape)  # the nearest first

        def step(h: Tensor) -> Tensor:
            kept[:, 1:] = kept[:, :-1].clone()
            kept[:, :1] = h
            return h + (self.weights * kept).sum(1, keepdim=True)

        return step


class Block(nn.Module):
    """h ← h + attention(norm h), h ← h + perceptron(norm h); with `reach`, what is normalised passes through `Recent`."""

    def __init__(self, width: int, heads: int, dropout: float, reach: int = 0) -> None:
        super().__init__()
        self.recent = nn.ModuleList(Recent(width, reach) for _ in range(2)) if reach else None
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.drop(self.attention(self.looked_for(h)))
        seen = self.second(h)
        return h + self.drop(self.perceptron(seen if self.recent is None else self.recent[1](seen)))

    def looked_for(self, h: Tensor) -> Tensor:
        """What the attention is of."""
        seen = self.first(h)
        return seen if self.recent is None else self.recent[0](seen)  # type: ignore[no-any-return]

    def one_by_one(self, n: int, length: int) -> Callable[[Tensor, int], Tensor]:
        """The same for one place after another, (n, 1, width) each, the keys and values of those before it kept."""
        attention = self.attention
        shape = (n, attention.heads, length, attention.output.in_features // attention.heads)
        keys, values = (attention.output.weight.new_zeros(shape) for _ in range(2))
        recent = [lambda h: h] * 2 if self.recent is None else [each.one_by_one(n) for each in self.recent]  # type: ignore[operator]

        def step(h: Tensor, i: int) -> Tensor:
            q, keys[:, :, i : i + 1], values[:, :, i : i + 1] = attention.split(recent[0](self.first(h)))
            seen = slice(0, i + 1)
            h = h + attention.join(F.scaled_dot_product_attention(q, keys[:, :, seen], values[:, :, seen]))
            return h + self.perceptron(recent[1](self.second(h)))

        return step


class CausalTransformer(nn.Module):
    """features (n, length, width) → (n, length, outputs), where [:, i] depends on features[:, :i] alone; begins as zero.

    The place before the first has a vector of its own, and each place too: h_i = feature_{i−1} + place_i.
    """

    def __init__(self, length: int, outputs: int, width: int, depth: int, heads: int, dropout: float, reach: int = 0) -> None:
        super().__init__()
        self.start = nn.Parameter(0.02 * torch.randn(width))
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks: Iterable[Block] = nn.ModuleList(Block(width, heads, dropout, reach) for _ in range(depth))  # type: ignore[assignment]
        self.norm, self.last, self.drop = nn.LayerNorm(width), nn.Linear(width, outputs), nn.Dropout(dropout)
        for name, weights in self.named_parameters():
            if name.endswith(("inputs.weight", "perceptron.0.weight")):
                nn.init.normal_(weights, std=0.02)
            elif name.endswith(("output.weight", "perceptron.2.weight")):  # 2 depth of them are added up
                nn.init.normal_(weights, std=0.02 / math.sqrt(2 * depth))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def before(self, features: Tensor) -> Tensor:
        """Each place's input: what is at the place before it."""
        first = self.start.expand(len(features), 1, -1)
        return self.drop(torch.cat([first, features[:, :-1]], dim=1) + self.places)

    def forward(self, features: Tensor) -> Tensor:
        h = self.before(features)
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h))

    def attention(self, features: Tensor) -> Tensor:
        """(layers, n, heads, length, length)."""
        h, found = self.before(features), []
        for block in self.blocks:
            found.append(block.attention.weights(block.looked_for(h)))
            h = block(h)
        return torch.stack(found)

    def one_by_one(self, n: int) -> Callable[[Tensor | None, int], Tensor]:
        """The same for one place after another, of which each is told the feature (n, width) before it: (n, outputs)."""
        steps = [block.one_by_one(n, len(self.places)) for block in self.blocks]

        def step(feature: Tensor | None, i: int) -> Tensor:
            h = (self.start.expand(n, -1) if feature is None else feature)[:, None] + self.places[i]
            for one in steps:
                h = one(h, i)
            return self.last(self.norm(h))[:, 0]

        return step
