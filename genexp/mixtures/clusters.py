"""Where the fitting of a mixture begins: clusters of examples."""

import torch
from torch import Tensor

ROUNDS = 10  # of Lloyd's
AT_ONCE = 2**22  # distances


def clusters(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means of `count` clusters of points x (n, dim), (count, dim), and to which each point is nearest, (n,).

    k-means++ (Arthur & Vassilvitskii 2007), and a few rounds of Lloyd's: each mean moves to the middle of its points.
    """
    means = far_apart(x, count)
    for _ in range(ROUNDS):
        index = nearest(x, means)
        sizes = torch.bincount(index, minlength=count)[:, None]
        middle = torch.zeros_like(means).index_add_(0, index, x) / sizes.clamp(min=1)
        means = torch.where(sizes > 0, middle, means)
    return means, nearest(x, means)


def nearest(x: Tensor, means: Tensor) -> Tensor:
    """The number of the mean nearest to each point, (n,)."""
    return torch.cat([torch.cdist(part, means).argmin(1) for part in x.split(max(1, AT_ONCE // len(means)))])


def far_apart(x: Tensor, count: int) -> Tensor:
    """`count` of the points x (n, dim), each drawn in proportion to its squared distance from the nearest one so far."""
    chosen = [x[torch.randint(len(x), ())]]
    distance = (x - chosen[0]).square().sum(1)
    while len(chosen) < count:
        share = distance if bool(distance.sum() > 0) else torch.ones_like(distance)
        chosen.append(x[torch.multinomial(share, 1)[0]])
        distance = torch.minimum(distance, (x - chosen[-1]).square().sum(1))
    return torch.stack(chosen)
