"""How near two clouds of points are."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.divergences.mmd import squared_distances
from genexp.optim.adam import Adam
from genexp.optim.schedule import one_cycle

KERNEL = "kernel distance between samples and data, of pictures between their features; a thousand of each at most"  # the mmd
FOLDS, WIDTH, EPOCHS, BATCH = 5, 64, 10, 256  # of the classifier that tells two clouds apart


def sliced_wasserstein(one: Tensor, other: Tensor, directions: int = 64) -> float:
    """Mean over directions of the Wasserstein-1 distance of the projections, in the units of the points.

    Both clouds have shape (n, dim) and equal n. The directions are even in the plane, and in more dimensions always the same
    random ones; on a line there is one. Not 0 for two samples of one distribution but about 1/√n: compare with that.
    """
    axes = _directions(one.shape[1], directions)
    gaps = _in_order(one.double() @ axes) - _in_order(other.double() @ axes)
    return float(np.abs(gaps).mean(dtype=np.float64))


def _in_order(projections: Tensor) -> np.ndarray:
    """The columns of (n, directions), each sorted, as rows: by numpy in float32, ten times as fast as torch's sort."""
    return np.sort(projections.T.float().contiguous().numpy())


def _directions(dim: int, count: int) -> Tensor:
    """Unit vectors as columns, (dim, count)."""
    if dim == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if dim == 2:
        angle = torch.arange(count, dtype=torch.float64) * math.pi / count
        return torch.stack([angle.cos(), angle.sin()])
    axes = torch.randn(dim, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return axes / axes.norm(dim=0)


def mmd(one: Tensor, other: Tensor, real: Tensor | None = None) -> float:
    """Maximum mean discrepancy of two clouds (n, dim), (m, dim): √(E k(x, x') + E k(y, y') − 2 E k(x, y)) over all pairs.

        k = ⅓ Σ_j exp(−|x − y|² / 2 (2^−j h)²),  j = 0, 1, 2;  h: median distance within `real` (None: within `other`)

    A point's pair with itself is among them, so that equal clouds are at 0 and it is between 0 and √2; of two samples of one
    distribution about √(2/n): compare with that. Where all of `real` are equal, h is 1.
    Source: Gretton et al., A Kernel Two-Sample Test (2012).
    """
    one, other = one.double(), other.double()
    within = _squares(other if real is None else real.double()).flatten()
    width = within[within > 0].median() if bool((within > 0).any()) else within.new_tensor(1.0)

    def mean(x: Tensor, y: Tensor | None = None) -> Tensor:
        widest = (_squares(x, y) / (-2 * width)).exp()  # half the width is the fourth power
        finer = widest.square().square()
        return (widest + finer + finer.square().square()).mean() / 3

    return float((mean(one) + mean(other) - 2 * mean(one, other)).clamp_min(0).sqrt())


def _squares(x: Tensor, y: Tensor | None = None) -> Tensor:
    """|x_i − y_j|² of all pairs, (n, m), at least 0, and 0 of a point and itself."""
    y = x if y is None else y
    middle = y.mean(0)
    return squared_distances(x - middle, y - middle)


def frechet(one: Tensor, other: Tensor) -> float:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½): the squared W₂ distance of two Gaussians with the clouds' means and covariances.

    Of features of a classifier it is the FID of Heusel et al. (2017), here of our own small classifier, so that it can be set
    beside no published one. What differs otherwise than in mean and covariance it does not see. A single point has Σ = 0. Not 0
    for two samples of one distribution, but about (dim² of Σ's) / n: compare with that.
    """
    one, other = one.double(), other.double()
    roots = [(x - x.mean(0)) / math.sqrt(max(len(x) - 1, 1)) for x in (one, other)]  # Σ = Rᵀ R
    gap = (one.mean(0) - other.mean(0)).square().sum()
    shared = torch.linalg.svdvals(_square_root(roots[0]) @ _square_root(roots[1])).sum()  # tr (Σ₁ Σ₂)^½
    return float((gap + roots[0].square().sum() + roots[1].square().sum() - 2 * shared).clamp_min(0))


def _square_root(root: Tensor) -> Tensor:
    """(Rᵀ R)^½."""
    values, vectors = torch.linalg.eigh(root.mT @ root)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.mT


def share_variation(one: Tensor, other: Tensor) -> float:
    """½ Σ_k |p_k − q_k| of the mean rows of ones (n, classes) and (m, classes): the total variation between class shares."""
    return float((one.double().mean(0) - other.double().mean(0)).abs().sum() / 2)


def two_sample_accuracy(one: Tensor, other: Tensor) -> float:
    """How often a classifier tells of which of two clouds (n, dim) a point is that it has not seen: ½ is chance, 1 is always.

    A network of two hidden layers sees a point and how many of its neighbours are of the one cloud: these tell fine detail in few
    dimensions, the network relations between many. It learns from four fifths of the points to tell the other fifth, in turn,
    all five at once. Random numbers are those of the moment: seed them outside. The standard error of chance is √(1/8n).
    Of fewer than ten points nothing can be learnt: ½. Of equal clouds each point has a twin, always of the other cloud, and that
    can be learnt: above ½.

    Source: Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests (2017).
    """
    both = torch.cat([one, other]).double()
    if len(both) < 2 * FOLDS:
        return 0.5
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
