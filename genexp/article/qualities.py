"""How good a model is, as the article measured it: (value, whether that is enough where no number was asked for)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genexp.article.measures import objective
from genexp.data.images import ImageSet
from genexp.measures.barcode import decode, draw_points
from genexp.measures.cells import share_outside
from genexp.measures.quadrature import Densities, in_parts
from genexp.measures.reconstruction import error_and_kl

GRID_SIDE = 200
DRAWN_POINTS = 100_000
DRAWN = 10_000


@torch.no_grad()
def kl(log_prob: Callable[[Tensor], Tensor], data: Any) -> tuple[float, bool]:
    """KL(truth ‖ model) in nats, by quadrature; in more than two dimensions the mean over DRAWN true samples."""
    density = data.density.to(torch.device("cpu"))
    if data.spec.shape[0] > 2:
        x = density.sample(DRAWN, torch.Generator().manual_seed(0))
        return float((density.log_prob(x) - log_prob(x.to(data.device)).cpu()).double().mean()), False
    rule = density.quadrature(GRID_SIDE, *density.box())
    truth = in_parts(density.log_prob, rule.points, 65_536)
    model = in_parts(lambda x: log_prob(x.float().to(data.device)), rule.points, 65_536)
    return Densities(truth, model, rule).kl, False


@torch.no_grad()
def mean_over(pictures: ImageSet, loss: Callable[[Tensor], Tensor], device: torch.device) -> tuple[float, bool]:
    """The mean of a loss over all pictures."""
    total = 0.0
    for start in range(0, len(pictures), 1000):
        x = pictures[start : start + 1000].to(device).batch().x
        total += float(loss(x)) * len(x)
    return total / len(pictures), False


def article_loss(model: Any, data: Any) -> tuple[float, bool]:
    """Squared error + ½ KL(q ‖ N(0, I)) of the test pictures."""
    return objective(*error_and_kl(model, data.test.batch())), False


@torch.no_grad()
def leak_or_scan(sample: Callable[[int], Tensor], data: Any) -> tuple[float, bool]:
    """The share of samples outside the code, and whether a scanner reads in them what it says."""
    drawn = torch.cat([sample(4_000).float().cpu() for _ in range(DRAWN_POINTS // 4_000)])
    return share_outside(drawn, data.density.to(torch.device("cpu"))), decode(draw_points(drawn.numpy())) == data.payload
