"""Priors p(z), or p(z|class) of a conditional model."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genexp.nn.couplings import AffineCoupling

_DEFENSIVE = 0.01  # share of N(0, I) in a mixture


@dataclass(frozen=True)
class Given:
    """What some priors depend on: the parameters of the posteriors of pseudo-inputs; the classes, (n,), of z (…, n, latent)."""

    pseudo: Tensor | None = None
    label: Tensor | None = None


NOTHING = Given()


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    like: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.register_buffer("like", torch.empty(0))

    def log_prob(self, z: Tensor, given: Given = NOTHING) -> Tensor:
        """ln p(z) in nats, (…, latent) → (…)."""
        return -0.5 * z.square().sum(-1) - 0.5 * self.latent * math.log(2 * math.pi)

    def sample(self, n: int, given: Given = NOTHING) -> Tensor:
        """n points, (n, latent)."""
        return torch.randn(n, self.latent, device=self.like.device, dtype=self.like.dtype)


class FlowPrior(nn.Module):
    """A coupling flow of N(0, I), learnt together with everything else, so that it goes where the posteriors are.

    ln p(z) = ln N(f(z); 0, I) + ln |det ∂f/∂z|. Begins as N(0, I).
    Source: Chen et al., Variational Lossy Autoencoder (2017).
    """

    def __init__(self, latent: int, blocks: int, width: int) -> None:
        super().__init__()
        self.base = StandardNormal(latent)
        masks = []
        for _ in range((blocks + 1) // 2):
            moves = (torch.randperm(latent) < max(1, latent // 2)).tolist()
            masks += [moves, [not move for move in moves]]
        net = {"hidden": [width, width], "harmonics": 0, "span": 1.0, "bound": 3.0}
        self.couplings = nn.ModuleList(AffineCoupling(moves, activation="silu", **net) for moves in masks[:blocks])  # type: ignore[arg-type]

    def log_prob(self, z: Tensor, given: Given = NOTHING) -> Tensor:
        flat, log_det = z.reshape(-1, z.shape[-1]), torch.zeros((), device=z.device)
        with torch.autocast(z.device.type, enabled=False):
            for coupling in self.couplings:
                flat, more = coupling(flat)
                log_det = log_det + more
            return (self.base.log_prob(flat) + log_det).view(z.shape[:-1])

    def sample(self, n: int, given: Given = NOTHING) -> Tensor:
        z = self.base.sample(n)
        for coupling in reversed(self.couplings):
            z, _ = coupling.inverse(z)  # type: ignore[operator]
        return z


class VampPrior(nn.Module):
    """The mean of the Gaussian posteriors of `count` pseudo-inputs, examples that are learnt: p(z) = 1/K Σ q(z|u_k).

    Source: Tomczak & Welling, VAE with a VampPrior (2018).
    """

    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        super().__init__()
        self.inputs = nn.Parameter(torch.rand(count, *shape))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Begin with examples, in turn where there are fewer."""
        self.inputs.copy_(x[torch.randperm(len(x), device=x.device)[torch.arange(len(self.inputs)) % len(x)]])

    def log_prob(self, z: Tensor, given: Given = NOTHING) -> Tensor:
        assert given.pseudo is not None
        mean, log_variance = given.pseudo.chunk(2, dim=-1)
        flat = z.reshape(-1, z.shape[-1])
        precision = torch.exp(-log_variance)
        with torch.autocast(z.device.type, enabled=False):  # |z − μ|²/σ² of all pairs, by three products that nearly cancel
            squares = flat.square() @ precision.T - 2 * flat @ (mean * precision).T + (mean.square() * precision).sum(1)
        log_components = -0.5 * (squares + log_variance.sum(1) + z.shape[-1] * math.log(2 * math.pi))
        return (log_components.logsumexp(1) - math.log(len(mean))).view(z.shape[:-1])

    def sample(self, n: int, given: Given = NOTHING) -> Tensor:
        assert given.pseudo is not None
        chosen = torch.randint(len(given.pseudo), (n,), device=given.pseudo.device)
        mean, log_variance = given.pseudo[chosen].chunk(2, dim=-1)
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)


class MixturePrior(nn.Module):
    """N(0, I) in training; then, once, the mixture of Gaussians that fits the training posteriors best (by EM).

        p(z|c) = ε N(z; 0, I) + (1−ε) Σ_k w_ck N(z; μ_k, Σ_k),   maximising E_q[ln p(z)], and with it the ELBO, in training.

    The first term keeps what N(0, I) allowed possible: no picture costs more than ln 1/ε nats above what it cost in training.
    Of a conditional model every class c has weights of its own; otherwise there is one c.
    Source: Ghosh et al., From Variational to Deterministic Autoencoders (2020), section 4;
    Hesterberg, Weighted Average Importance Sampling and Defensive Mixture Distributions (1995), for the first term.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor
    fitted: Tensor

    def __init__(self, latent: int, components: int, classes: int = 0) -> None:
        super().__init__()
        self.components, self.classes = components, max(1, classes)
        self.register_buffer("weights", torch.eye(1, components + 1).repeat(self.classes, 1))
        self.register_buffer("means", torch.zeros(components + 1, latent))
        self.register_buffer("factors", torch.eye(latent).repeat(components + 1, 1, 1))  # A_k with A_k A_kᵀ = Σ_k⁻¹
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, z: Tensor, label: Tensor | None = None, groups: Tensor | None = None, seed: int = 0) -> None:
        """Expectation maximisation on posterior samples z (n, latent) of pictures `groups` (n,).

        All components, a quarter of them, one, or none at all: what makes a tenth of the pictures, left out, likeliest.
        """
        points = z.double().cpu().numpy()
        left_out = np.arange(len(points)) % 10 == 0 if groups is None else groups.cpu().numpy() % 10 == 0
        standard = float(StandardNormal(z.shape[1]).log_prob(z.cpu()[torch.from_numpy(left_out)]).mean())
        sizes = [size for size in (self.components, self.components // 4, 1) if 1 <= size <= len(points) // 10]
        gains = {size: _em(points[~left_out], size, seed).score(points[left_out]) - standard for size in sizes}
        components = max(gains, key=lambda size: gains[size], default=0)
        if not components or gains[components] <= 0:
            return
        mixture = _em(points, components, seed)
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

    def log_prob(self, z: Tensor, given: Given = NOTHING) -> Tensor:
        flat = z.reshape(-1, z.shape[-1])
        with torch.autocast(z.device.type, enabled=False):
            whitened = torch.einsum("nki,kij->nkj", flat[:, None] - self.means, self.factors)
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        log_components = log_det - 0.5 * (whitened.square().sum(2) + z.shape[-1] * math.log(2 * math.pi))
        return (log_components + self._weights(len(flat), given).log()).logsumexp(1).view(z.shape[:-1])

    def sample(self, n: int, given: Given = NOTHING) -> Tensor:
        k = self._weights(n, given).multinomial(1)[:, 0]
        noise = torch.randn(n, self.means.shape[1], 1, device=k.device)
        return self.means[k] + torch.linalg.solve_triangular(self.factors[k].mT, noise, upper=False)[:, :, 0]

    def _weights(self, n: int, given: Given) -> Tensor:
        """(n, components)."""
        if self.classes == 1 or given.label is None:
            return self.weights[:1].expand(n, -1)
        return self.weights[given.label.repeat(n // len(given.label))]


def _em(points: np.ndarray, components: int, seed: int) -> Any:
    """scikit-learn's mixture of full Gaussians, fitted to points (n, latent)."""
    from sklearn.mixture import GaussianMixture

    regularisation = 1e-3 * float(points.var(0).mean())
    mixture = GaussianMixture(components, reg_covar=regularisation, random_state=seed, max_iter=50, tol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 50 iterations are enough, converged or not
        return mixture.fit(points)
