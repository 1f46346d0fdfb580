"""Points as components of a mixture see them, and factors of covariances that are nowhere too narrow."""

import torch
from torch import Tensor


class Whitening:
    """z (n, dim) → y_nk = L_k⁻¹ (z_n − μ_k), (components, dim, n).

    Args:
        factor: L (components, dim, dim), or its diagonal (components, dim) where there is nothing else.
        mean: μ (components, dim).
        log_weight: ln w_k − ln det L_k − ½ dim ln 2π, (components, 1).
    """

    def __init__(self, factor: Tensor, mean: Tensor, log_weight: Tensor) -> None:
        self.factor, self.mean, self.log_weight = factor, mean, log_weight
        if factor.dim() == 3:
            identity = torch.eye(factor.shape[1], dtype=factor.dtype, device=factor.device).expand_as(factor)
            inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
            self.inverse = inverse.flatten(0, 1)
            self.shift = -(inverse @ mean[:, :, None]).flatten(0, 1)

    def __call__(self, z: Tensor) -> Tensor:
        if self.factor.dim() == 3:
            return torch.addmm(self.shift, self.inverse, z.mT).view(*self.mean.shape, len(z))
        return (z.mT - self.mean[:, :, None]) / self.factor[:, :, None]


def factor_of(covariance: Tensor, least: float) -> Tensor:
    """L of the covariances (k, dim, dim), after their eigenvalues below `least` were raised to it: where the likelihood is
    highest among covariances that are nowhere narrower.
    """
    identity = torch.eye(covariance.shape[1], dtype=covariance.dtype, device=covariance.device)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    narrow = (failed > 0) | (torch.linalg.cholesky_ex(covariance - least * identity).info > 0)
    if bool(narrow.any()):
        values, vectors = torch.linalg.eigh(covariance[narrow])
        raised = vectors * values.clamp(min=least).sqrt()[:, None]
        upper = torch.linalg.qr(raised.mT).R  # raised raisedᵀ = RᵀR
        factor[narrow] = (upper * upper.diagonal(dim1=1, dim2=2).sign()[:, :, None]).mT
    return factor
