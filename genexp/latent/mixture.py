"""A prior that is fitted when everything else is learnt."""

import math
import warnings
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genexp.bijections.bases import log_standard
from genexp.errors import UserError
from genexp.latent.base import Given, Latent, Prior, priors
from genexp.machine.device import all_digits
from genexp.settings import Width

_DEFENSIVE = 0.01  # share of N(0, I) in a mixture
_WIDENINGS = 0.01, 0.03, 0.1
_MOST = 512  # latent dimensions


@priors.register("mixture")
class MixturePrior(Prior):
    """N(0, I) in training; then, once, the mixture of Gaussians that fits the training posteriors best (by EM).

        p(z|c) = ε N(z; 0, I) + (1−ε) Σ_k w_ck N(z; μ_k, Σ_k),   maximising E_q[ln p(z)], and with it the ELBO, in training.

    The first term keeps what N(0, I) allowed possible: no picture costs more than ln 1/ε nats above what it cost in training.
    Of a conditional model every class c has weights of its own; otherwise there is one c.
    Source: Ghosh et al., From Variational to Deterministic Autoencoders (2020), section 4;
    Hesterberg, Weighted Average Importance Sampling and Defensive Mixture Distributions (1995), for the first term.

    Args:
        components: K, at most; fewer where that is likelier of pictures left out of the fit.
    """

    fits = True

    weights: Tensor
    means: Tensor
    factors: Tensor
    fitted: Tensor

    def __init__(self, latent: Latent, *, components: Width = 100) -> None:
        super().__init__()
        if latent.size > _MOST:
            raise UserError(f"model/prior=mixture: at most {_MOST} latent dimensions, for full covariances")
        self.components, self.classes, size = components, max(1, latent.classes), latent.size
        self.register_buffer("weights", torch.eye(1, components + 1).repeat(self.classes, 1))
        self.register_buffer("means", torch.zeros(components + 1, size))
        self.register_buffer("factors", torch.eye(size).repeat(components + 1, 1, 1))  # A_k with A_k A_kᵀ = Σ_k⁻¹
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def standard(self) -> bool:
        return not self.fitted

    def fit(self, z: Tensor, label: Tensor | None = None, groups: Tensor | None = None, seed: int = 0) -> None:
        """Expectation maximisation on posterior samples z (n, latent) of pictures `groups` (n,).

        As many components as asked for, a quarter of them, one, or none, and each as narrow as may be: the first that makes a
        tenth of the pictures, left out, likelier than N(0, I) does.
        """
        points = z.double().cpu().numpy()
        left_out = np.arange(len(points)) % 10 == 0 if groups is None else groups.cpu().numpy() % 10 == 0
        standard = float(log_standard(z.cpu()[torch.from_numpy(left_out)]).mean())
        for components, widening in product((self.components, self.components // 4, 1), _WIDENINGS):
            if not 1 <= components <= len(points) // 10:
                continue
            if _em(points[~left_out], components, widening, seed).score(points[left_out]) > standard:
                break
        else:
            return
        mixture = _em(points, components, widening, seed)
        fitted = slice(1, 1 + components)
        self.means[fitted] = torch.as_tensor(mixture.means_, dtype=z.dtype)
        self.factors[fitted] = torch.as_tensor(mixture.precisions_cholesky_, dtype=z.dtype)
        self.weights.zero_()
        if self.classes == 1 or label is None:
            self.weights[:, fitted] = torch.as_tensor(mixture.weights_, dtype=z.dtype)
        else:
            responsibility = torch.as_tensor(mixture.predict_proba(points), dtype=z.dtype, device=label.device)
            for index in label.unique():
                self.weights[index, fitted] = responsibility[label == index].mean(0)
        self.weights.mul_(1 - _DEFENSIVE)
        self.weights[:, 0] = 1 - self.weights[:, 1:].sum(1)
        self.fitted.fill_(True)

    def log_prob(self, z: Tensor, given: Given | None = None) -> Tensor:
        if self.standard:
            return log_standard(z)
        flat = z.reshape(-1, z.shape[-1])
        with all_digits(z.device):
            whitened = torch.einsum("nki,kij->nkj", flat[:, None] - self.means, self.factors)
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        log_components = log_det - 0.5 * (whitened.square().sum(2) + z.shape[-1] * math.log(2 * math.pi))
        return (log_components + self._weights(len(flat), given).log()).logsumexp(1).view(z.shape[:-1])

    def sample(self, n: int, given: Given | None = None) -> Tensor:
        k = self._weights(n, given).multinomial(1)[:, 0]
        noise = torch.randn(n, self.means.shape[1], 1, device=k.device)
        return self.means[k] + torch.linalg.solve_triangular(self.factors[k].mT, noise, upper=False)[:, :, 0]

    def _weights(self, n: int, given: Given | None) -> Tensor:
        """(n, components)."""
        if self.classes == 1 or given is None or given.label is None:
            return self.weights[:1].expand(n, -1)
        return self.weights[given.label.repeat(n // len(given.label))]


def _em(points: np.ndarray, components: int, widening: float, seed: int) -> Any:
    """scikit-learn's mixture of full Gaussians, fitted to points (n, latent).

    A share `widening` of the points' mean variance is added to every component's: it is what lets many components go beyond
    the pictures that they were fitted to.
    """
    from sklearn.mixture import GaussianMixture

    regularisation = widening * float(points.var(0).mean())
    mixture = GaussianMixture(components, reg_covar=regularisation, random_state=seed, max_iter=50, tol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 50 iterations are enough, converged or not
        return mixture.fit(points)
