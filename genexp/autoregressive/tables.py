"""Tables of counts with back-off inside a model: what a network need not learn by heart, mixed with what it says.

    p_n(c | h) = (count(h c) + types(h) p_{n−1}(c | h′)) / (count(h) + types(h)),   h′ the n − 1 numbers nearest in h,
    p(c | x_<i) = w_0 p_network(c) + Σ_n w_{n+1} p_n(c | the n numbers before),     w = softmax(what the network says + V f),

where types(h) is how many different numbers have followed h, p_{−1} is uniform, and f says how well each h is known. Each term
is a distribution of c given what came before, and so is p.

In training each number is left out of its own counts. Most long contexts have been seen once, where they are: with that in the
counts, the weights would learn that tables know everything.

Sources: Witten & Bell, The Zero-Frequency Problem (1991), interpolated; Jelinek & Mercer, Interpolated Estimation of Markov
Source Parameters from Sparse Data (1980), for weights learnt on what was left out.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_COUNTED = 1_000_000  # numbers: of long contexts nearly every one is another, and kept
MOST_CODE = 2**62  # contexts are told apart by one whole number
KINDS = ("pairs", "counts", "contexts", "totals", "types")


class Known(NamedTuple):
    """How often c has followed each context, and anything has, and how many different things: of shapes that broadcast."""

    times: Tensor
    total: Tensor
    types: Tensor


class CountTables(nn.Module):
    """The tables of 0, 1, …, `order` numbers of context, fewer where one whole number cannot hold them, and their weights."""

    def __init__(self, levels: int, order: int) -> None:
        super().__init__()
        self.levels = levels
        self.order = max(n for n in range(order + 1) if levels ** (n + 1) < MOST_CODE)
        self.terms = self.order + 2  # of the mixture: the network, and each of the tables
        for n in range(self.order + 1):
            for kind in KINDS:
                self.register_buffer(f"{kind}_{n}", torch.zeros(0, dtype=torch.long))
        self.weights = nn.Linear(2 * (self.order + 1), self.terms)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)

    # --- counting ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def count(self, number: Tensor) -> None:
        """Count the numbers of the first examples of (n, dim), in order; nothing that was counted before stays."""
        number = number[: max(1, MOST_COUNTED // number.shape[1])]
        for n, context in enumerate(self.contexts(number)):
            seen = context >= 0
            pairs, counts = (context * self.levels + number)[seen].unique(return_counts=True)
            contexts, types = (pairs // self.levels).unique_consecutive(return_counts=True)
            totals = torch.zeros_like(contexts).index_add_(0, torch.searchsorted(contexts, pairs // self.levels), counts)
            for kind, values in zip(KINDS, (pairs, counts, contexts, totals, types), strict=True):
                setattr(self, f"{kind}_{n}", values)

    def contexts(self, number: Tensor) -> Iterator[Tensor]:
        """For each order the numbers before each place as one whole number, the nearest counting least, (n, dim); −1 where there
        are not so many.
        """
        code = torch.zeros_like(number)
        yield code
        for n in range(1, self.order + 1):
            before = F.pad(number, (n, 0))[:, : number.shape[1]]
            code = torch.where(code >= 0, code + self.levels ** (n - 1) * before, -1)
            code[:, :n] = -1
            yield code

    def known(self, n: int, context: Tensor, c: Tensor) -> Known:
        """Of contexts of n numbers (…), −1 of none, and what follows them, c."""
        pairs, counts, contexts, totals, types = (getattr(self, f"{kind}_{n}") for kind in KINDS)
        wanted = torch.where(context >= 0, context * self.levels + c, -1)
        return Known(looked_up(pairs, counts, wanted), *(looked_up(contexts, values, context) for values in (totals, types)))

    # --- the mixture ------------------------------------------------------------------------------------------

    def log_terms(self, number: Tensor, said: Tensor, log_network: Tensor, leave_out: bool = False) -> Tensor:
        """ln of each term of p, (n, dim, terms), of numbers (n, dim), given `said`, the logits of the weights by the network
        (n, dim, terms), and its own ln p (n, dim). `leave_out`: whether each is one of those counted, and does not count.
        """
        known = [self.known(n, context, number) for n, context in enumerate(self.contexts(number))]
        return self._terms([without_itself(each) if leave_out else each for each in known], said, log_network)

    def log_table(self, before: Tensor, said: Tensor, log_network: Tensor) -> Tensor:
        """ln p of every value that may follow `before` (n, any number of them), said (n, terms): (n, levels)."""
        place = F.pad(before[:, max(0, before.shape[1] - self.order) :], (0, 1))
        every = torch.arange(self.levels, device=before.device)
        known = [self.known(n, context[:, -1:], every) for n, context in enumerate(self.contexts(place))]
        return self._terms(known, said[:, None], log_network).logsumexp(-1)

    def _terms(self, known: list[Known], said: Tensor, log_network: Tensor) -> Tensor:
        p = torch.full_like(log_network, 1 / self.levels)
        terms = [log_network]
        for times, total, types in known:
            p = torch.where(total > 0, (times + types * p) / (total + types).clamp(min=1), p)
            terms.append(p.log())
        well = torch.stack([known_of for _, total, types in known for known_of in (total, types)], dim=-1)
        log_w = (said + self.weights(well.to(p).log1p())).log_softmax(-1)
        return log_w + torch.stack(terms, dim=-1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Tables are as long as they are."""
        for name in self._buffers:
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=self.weights.weight.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def without_itself(known: Known) -> Known:
    """One less of each that was counted."""
    times, total, types = known
    own = (times > 0).long()
    return Known(times - own, total - own, types - (times == 1).long())


def looked_up(keys: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """The value of each wanted key, of keys in order; 0 of one that is not there."""
    if not len(keys):
        return torch.zeros_like(wanted)
    at = torch.searchsorted(keys, wanted.contiguous()).clamp(max=len(keys) - 1)
    return torch.where(keys[at] == wanted, values[at], 0)
