"""What the parts of an autoregressive model are: the head, p(x_i | what came before), and the heuristics of sampling from it."""

import torch
from torch import Tensor, nn

from genexp.data.base import DataSpec, Kind
from genexp.registry import Registry


def levels_of(spec: DataSpec) -> int | None:
    """How many different values each number of the data has; None of real numbers."""
    if spec.kind in ("bits", "bytes") or (spec.kind == "unit" and len(spec.shape) == 3):
        return spec.greys
    return spec.levels if spec.kind == "tokens" else None


class Heuristic(nn.Module):
    """How samples are drawn from p(x_i | x_<i): as it is, or from another distribution that is thought to look better.

    Told when built: nothing. The likelihood does not know of it. `plain`: whether it changes nothing.
    """

    plain = False

    def forward(self, log_p: Tensor) -> Tensor:
        """ln p of each value (…, levels) → logits of the values that samples are drawn by."""
        raise NotImplementedError


class Head(nn.Module):
    """p(x_i | raw): the distribution of one number, of whose parameters the network gives `outputs`.

    Told when built: the `DataSpec`. `levels`: how many values there are; None: p is a density of real numbers.

    Shapes: x (…) as in the data, raw (…, outputs).

    Raises:
        UserError: data of another kind.
    """

    kinds: tuple[Kind, ...]
    outputs: int

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        spec.check_kind(self.kinds, f"model/head={heads.name_of(self)}")
        self.kind, self.levels = spec.kind, levels_of(spec)

    def initialise(self, x: Tensor) -> None:
        """Look once at training data, (n, dim). Most heads need not."""

    def marginals(self, x: Tensor) -> Tensor | None:
        """Parameters (dim, outputs) by which each number has its frequencies in x (n, dim), nearly; None: none are known."""
        return None

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        """ln p(x | raw) in nats, (…)."""
        raise NotImplementedError

    def log_table(self, raw: Tensor) -> Tensor:
        """ln p of every value there is, (…, levels)."""
        raise NotImplementedError

    def draw(self, raw: Tensor, noise: Tensor, heuristic: Heuristic) -> Tensor:
        """x ~ p, (…), from `noise` (…, 2) ~ U[0, 1): the same noise gives the same value."""
        p = heuristic(self.log_table(raw)).softmax(-1).cumsum(-1)
        k = (p <= noise[..., :1] * p[..., -1:]).sum(-1)  # not below: a value of no probability is not drawn by a noise of 0
        return self.value(k)

    def number(self, x: Tensor) -> Tensor:
        """Values as whole numbers 0 … levels − 1; a grey that is none of them as the nearest."""
        assert self.levels is not None
        return (x * (self.levels - 1) if self.kind == "unit" else x).round().long()

    def value(self, k: Tensor) -> Tensor:
        """The other way round."""
        assert self.levels is not None
        return k if self.kind == "tokens" else k / (self.levels - 1) if self.kind == "unit" else k.float()


heads: Registry[Head] = Registry("head", "genexp.autoregressive", Head)
heuristics: Registry[Heuristic] = Registry("heuristic", "genexp.autoregressive", Heuristic)


def single(raw: Tensor) -> Tensor:
    """At least float32, which a likelihood needs."""
    return raw.float() if raw.dtype.itemsize < torch.float32.itemsize else raw
