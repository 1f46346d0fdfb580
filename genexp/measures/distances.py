"""How near two clouds of points are."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.divergences.wasserstein import wasserstein as wasserstein
from genexp.optim.adam import Adam
from genexp.optim.schedule import one_cycle

FOLDS, WIDTH, EPOCHS, BATCH = 5, 64, 10, 256  # of the classifier that tells two clouds apart


def sliced_wasserstein(one: Tensor, other: Tensor, directions: int = 64) -> float:
    """Mean over directions of the Wasserstein-1 distance of the projections, in the units of the points.

    Both clouds have shape (n, dim) and equal n. The directions are even in the plane, and in more dimensions always the same
    random ones; on a line there is one. Not 0 for two samples of one distribution but about 1/√n: compare with that.
    """
    axes = _directions(one.shape[1], directions)
    gaps = (one.double() @ axes).sort(dim=0).values - (other.double() @ axes).sort(dim=0).values
    return float(gaps.abs().mean())


def _directions(dim: int, count: int) -> Tensor:
    """Unit vectors as columns, (dim, count)."""
    if dim == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if dim == 2:
        angle = torch.arange(count, dtype=torch.float64) * math.pi / count
        return torch.stack([angle.cos(), angle.sin()])
    axes = torch.randn(dim, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return axes / axes.norm(dim=0)


def two_sample_accuracy(one: Tensor, other: Tensor) -> float:
    """How often a classifier tells of which of two clouds (n, dim) a point is that it has not seen: ½ is chance, 1 is always.

    A network of two hidden layers sees a point and how many of its neighbours are of the one cloud: these tell fine detail in few
    dimensions, the network relations between many. It learns from four fifths of the points to tell the other fifth, in turn,
    all five at once. Random numbers are those of the moment: seed them outside. The standard error of chance is √(1/8n).

    Source: Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests (2017).
    """
    both = torch.cat([one, other]).double()
    x = ((both - both.mean(0)) / both.std(0).clamp_min(1e-12)).float()
    label = torch.cat([torch.zeros(len(one)), torch.ones(len(other))])
    order = torch.randperm(len(x))
    order = order[: len(order) // FOLDS * FOLDS].view(FOLDS, -1)
    rest = torch.stack([order[torch.arange(FOLDS) != fold].flatten() for fold in range(FOLDS)])
    seen, new = (torch.cat([x[part], _votes(x[part], x[rest], label[rest])], dim=2) for part in (rest, order))
    with torch.enable_grad():
        network = _trained(seen, label[rest])
    right = (network(new) > 0) == (label[order] > 0.5)
    return float(right.double().mean())


def _votes(x: Tensor, known: Tensor, label: Tensor) -> Tensor:
    """Of points (folds, n, dim): for which cloud their k ≈ √m / 2 nearest of the known ones (folds, m, dim), themselves excepted,
    speak, in standard deviations of chance: (folds, n, 1).
    """
    k = max(1, round(math.sqrt(known.shape[1]) / 2))
    distances = torch.cdist(x, known)
    if x.shape == known.shape:  # they are the known ones
        distances.diagonal(dim1=1, dim2=2).fill_(math.inf)
    nearest = distances.topk(k, dim=2, largest=False).indices
    ones = label[:, None].expand(-1, x.shape[1], -1).gather(2, nearest).mean(2, keepdim=True)
    return (2 * ones - 1) * math.sqrt(k)


class _Networks(nn.Module):
    """Perceptrons side by side, one for each fold: (folds, n, dim) → (folds, n)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        sizes = [(dim, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
        self.weights = nn.ParameterList(torch.randn(FOLDS, before, after) / math.sqrt(before) for before, after in sizes)
        self.biases = nn.ParameterList(torch.zeros(FOLDS, 1, after) for _, after in sizes)

    def forward(self, x: Tensor) -> Tensor:
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = torch.baddbmm(bias, x if weight is self.weights[0] else F.silu(x), weight)
        return x[..., 0]


def _trained(x: Tensor, label: Tensor) -> _Networks:
    """The networks that tell labels (folds, n) of points x (folds, n, dim), by cross-entropy and Adam."""
    network, count = _Networks(x.shape[2]), x.shape[1]
    steps = max(1, count // BATCH)
    optimizer, rates = Adam(network.parameters(), lr=3e-3), one_cycle(EPOCHS * steps)
    for _ in range(EPOCHS):
        for index in torch.randperm(count).chunk(steps):
            loss = F.binary_cross_entropy_with_logits(network(x[:, index]), label[:, index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.follow(next(rates))
            optimizer.step()
    return network.requires_grad_(False)
