"""A radial bijection: points move towards a centre or away from it."""

import torch
from torch import Tensor, nn

from genexp.bijections.base import Bijection, bijections
from genexp.bijections.constraints import above_minus_one


@bijections.register("radial")
class Radial(Bijection):
    """z = c + (1 + β/(α + r)) (x − c),   r = ‖x − c‖,   α > 0,   β > −α.

    ln |det ∂z/∂x| = (dim − 1) ln(1 + β/(α + r)) + ln(1 + αβ/(α + r)²). The radius R of z increases with r, which is the positive
    root of r² + (α + β − R) r − αR = 0: the inverse is a formula.

    Source: Rezende & Mohamed, Variational Inference with Normalizing Flows (2015).
    """

    def __init__(self, dim: int, layer: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.randn(dim))
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.free_beta = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        away = x - self.centre
        stretch, log_det = self.stretch(torch.linalg.vector_norm(away, dim=1))
        return self.centre + away * stretch[:, None], log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        away = z - self.centre
        image = torch.linalg.vector_norm(away, dim=1)
        alpha, beta = self.alpha_and_beta()
        half, product = (image - alpha - beta) / 2, alpha * image
        root = (half.square() + product).sqrt()
        radius = torch.where(half >= 0, half + root, product / (root - half.clamp_max(0.0)))  # never a small difference
        stretch, log_det = self.stretch(radius)
        return self.centre + away / stretch[:, None], -log_det

    def alpha_and_beta(self) -> tuple[Tensor, Tensor]:
        alpha = self.log_alpha.exp()
        return alpha, alpha * above_minus_one(self.free_beta)

    def stretch(self, radius: Tensor) -> tuple[Tensor, Tensor]:
        """R/r and the logarithm of the determinant at points so far from the centre, both (n,)."""
        alpha, beta = self.alpha_and_beta()
        excess = beta / (alpha + radius)
        log_det = (len(self.centre) - 1) * torch.log1p(excess) + torch.log1p(excess * alpha / (alpha + radius))
        return 1 + excess, log_det
