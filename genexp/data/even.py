"""Points that lie more evenly than random ones, and are each as random: randomised quasi-Monte Carlo."""

import torch
from torch import Tensor

GOLDEN, WHOLE = 2_654_435_769, 2**32  # their ratio is the golden ratio's fraction; integers, since k α needs many digits


def even_shares(weights: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """To which of K classes with probabilities `weights` (K,) each of n points belongs, (n,), in rising order: of each class its
    share of n to within one, by equal steps of 1/n from a random beginning.
    """
    along = (torch.arange(n, device=weights.device) + torch.rand(1, generator=generator, device=weights.device)) / n
    return torch.searchsorted(weights.cumsum(0)[:-1].contiguous(), along)


def shifted_lattices(group: Tensor, groups: int, generator: torch.Generator | None) -> Tensor:
    """Points of the open unit square, (n, 2), of which those of each group (`group`, (n,), rising) form a lattice of their own:

        u_k = ((k + s₁) / m, (k α + s₂) mod 1),   k = 0 … m − 1,   s ~ U[0, 1)² for each group,   α = (√5 − 1)/2

    Because of s a point that is chosen at random is uniform, so that a mean of f over them is unbiased; because they avoid one
    another, its error falls about as 1/m for smooth f, where that of independent points falls as 1/√m.

    Sources: Cranley & Patterson, Randomization of Number Theoretic Methods for Multiple Integration (1976); Niederreiter, Random
    Number Generation and Quasi-Monte Carlo Methods (1992), chapter 3.
    """
    sizes = torch.bincount(group, minlength=groups)
    rank = torch.arange(len(group), device=group.device) - (sizes.cumsum(0) - sizes)[group]
    shift = torch.rand(groups, 2, generator=generator, device=group.device)[group]
    turned = (rank * GOLDEN % WHOLE) / WHOLE
    u = torch.stack([(rank + shift[:, 0]) / sizes[group], (turned + shift[:, 1]) % 1], dim=1)
    least = torch.finfo(torch.float32).eps / 2
    return u.float().clamp(least, 1 - least)
