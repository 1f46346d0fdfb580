"""Priors p(z), or p(z|class) of a conditional model."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genexp.nn.couplings import AffineCoupling


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
        digits = z.dtype if z.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        mean, log_variance = given.pseudo.to(digits).chunk(2, dim=-1)
        flat = z.reshape(-1, z.shape[-1]).to(digits)
        precision = torch.exp(-log_variance)
        with torch.autocast(z.device.type, enabled=False):  # |z − μ|²/σ² of all pairs, by three products that nearly cancel
            squares = flat.square() @ precision.T - 2 * flat @ (mean * precision).T + (mean.square() * precision).sum(1)
        log_components = -0.5 * (squares + log_variance.sum(1) + z.shape[-1] * math.log(2 * math.pi))
        return (log_components.logsumexp(1) - math.log(len(mean))).view(z.shape[:-1]).to(z.dtype)

    def sample(self, n: int, given: Given = NOTHING) -> Tensor:
        assert given.pseudo is not None
        chosen = torch.randint(len(given.pseudo), (n,), device=given.pseudo.device)
        mean, log_variance = given.pseudo[chosen].chunk(2, dim=-1)
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
