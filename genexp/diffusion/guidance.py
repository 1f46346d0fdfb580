"""Guidance: samples pushed towards a class by w times the gradient of ln p(y|m).

    D_w = D + w τ² ∇ ln p_τ(y|m),   the denoised point of the score ∇ ln [p_τ(m) p_τ(y|m)^w] at each noise level.

w = 0 leaves p(u), w = 1 gives p(u|y). For other w no diffusion has these scores: p_τ(y|m)^w, which is a mean over what may lie
behind m, is not what the noise makes of p(y|u)^w, and the samples are not those of p(u) p(y|u)^w / Z.
"""

from collections.abc import Callable
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genexp.diffusion.base import Guidance, guidances
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.nn.mlp import mlp
from genexp.settings import Width

GuidanceWeight = Annotated[float, Field(ge=0, le=100)]


def check_classes(classes: int, name: str) -> None:
    """UserError where the data have none."""
    if not classes:
        raise UserError(f"model/guidance={name} needs data with classes", hint="model/guidance=none")


@guidances.register("none")
class NoGuidance(Guidance):
    """The classes are not looked at."""


@guidances.register("classifier_free")
class ClassifierFree(Guidance):
    """τ² ∇ ln p_τ(y|m) = D(m|y) − D(m), both by one network, which is told the class or, in a share of the training, nothing:

        D_w = D(m) + w (D(m|y) − D(m)).

    Args:
        weight: w. (The source's is w − 1.)
        drop: the share of the training in which the class is not told.

    Raises:
        UserError: the data have no classes.

    Source: Ho & Salimans, Classifier-free diffusion guidance (2022).
    """

    guides = True

    def __init__(
        self, dim: int, classes: int, *, weight: GuidanceWeight = 1.0, drop: Annotated[float, Field(gt=0, lt=1)] = 0.2
    ) -> None:
        super().__init__()
        check_classes(classes, "classifier_free")
        self.condition, self.weight, self.drop = classes, weight, drop

    def told(self, label: Tensor | None) -> Tensor | None:
        assert label is not None  # data with classes
        kept = torch.rand(len(label), device=label.device) >= self.drop
        return self.one_hot(label) * kept[:, None]

    def one_hot(self, label: Tensor) -> Tensor:
        return F.one_hot(label, self.condition).float()

    def guided(
        self, denoised: Callable[..., Tensor], m: Tensor, tau: Tensor, label: Tensor | None, weight: float | None = None
    ) -> Tensor:
        w = self.weight if weight is None else weight
        nothing = m.new_zeros(len(m), self.condition)
        if label is None or w == 0:
            return denoised(m, tau, nothing)
        conditional = denoised(m, tau, self.one_hot(label).to(m))
        if w == 1:
            return conditional
        free = denoised(m, tau, nothing)
        return free + w * (conditional - free)


@guidances.register("classifier")
class ByClassifier(Guidance):
    """ln p_τ(y|m) by a classifier of noisy points, which is trained beside the network on the same ones.

    Args:
        weight: w.
        width, depth: of the classifier's hidden layers.

    Raises:
        UserError: the data have no classes.

    Source: Dhariwal & Nichol, Diffusion models beat GANs on image synthesis (2021).
    """

    guides = True

    def __init__(
        self,
        dim: int,
        classes: int,
        *,
        weight: GuidanceWeight = 1.0,
        width: Width = 128,
        depth: Annotated[int, Field(ge=1, le=32)] = 2,
    ) -> None:
        super().__init__()
        check_classes(classes, "classifier")
        self.weight = weight
        self.net = mlp([dim + 1, *[width] * depth, classes])

    def log_classes(self, m: Tensor, tau: Tensor) -> Tensor:
        """ln p_τ(y|m) of all y, (n, classes)."""
        with all_digits(m.device):
            unit = m / (1 + tau**2).sqrt()[:, None]
            return self.net(torch.cat([unit, tau.log()[:, None] / 4], dim=1)).log_softmax(1)

    def loss(self, m: Tensor, tau: Tensor, label: Tensor | None) -> Tensor | None:
        assert label is not None  # data with classes
        return F.nll_loss(self.log_classes(m, tau), label)

    def guided(
        self, denoised: Callable[..., Tensor], m: Tensor, tau: Tensor, label: Tensor | None, weight: float | None = None
    ) -> Tensor:
        w = self.weight if weight is None else weight
        free = denoised(m, tau, None)
        if label is None or w == 0:
            return free
        with torch.enable_grad():
            point = m if m.requires_grad else m.detach().requires_grad_(True)
            chosen = self.log_classes(point, tau).gather(1, label[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, point, create_graph=m.requires_grad)
        return free + w * tau[:, None] ** 2 * gradient
