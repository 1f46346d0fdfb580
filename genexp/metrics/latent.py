"""Numbers of latent-variable models, p(x) = ∫ p(x|z) p(z) dz. Likelihoods in nats per example."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.bijections.bases import log_standard
from genexp.data.base import Batch
from genexp.latent.importance import HasLatent, HasPosterior, Importance
from genexp.machine.distributed import sharded
from genexp.seeds import seed_for, seeded

_VALUES = 12_000_000  # decoded at a time: 50 MB


@dataclass(frozen=True)
class Bounds:
    """What k posterior samples say of each of n examples, all (n,).

    `neg_elbo` = `reconstruction` + `kl`; `iwae_nll` is −ln 1/k Σ w with w = p(x, z)/q(z|x); `effective_samples` is
    (Σ w)² / Σ w², between 1 and k: how many of the k the bound really rests on.
    """

    reconstruction: Tensor
    kl: Tensor
    iwae_nll: Tensor
    effective_samples: Tensor

    @property
    def neg_elbo(self) -> Tensor:
        return self.reconstruction + self.kl


@torch.no_grad()
def bounds(model: HasPosterior, batch: Batch, k: int, parameters: Tensor | None = None) -> Bounds:
    """The bounds of each example from k samples of its posterior, or of that with other `parameters` (n, …); on the CPU.

    The examples are taken a part at a time, and each part's noise follows from its place and one number drawn here.
    """
    draws = max(1, min(k, _VALUES // batch.x[0].numel()))
    size = max(1, _VALUES // batch.x[0].numel() // draws)
    counts = [draws] * (k // draws) + ([k % draws] if k % draws else [])
    given = [None] * len(batch.x) if parameters is None else parameters.split(size)
    seed = int(torch.randint(1 << 62, ()))

    def of_part(part: tuple[int, Batch, Tensor | None]) -> tuple[Tensor, ...]:
        index, few, fixed = part
        with seeded(seed_for(seed, f"part {index}"), few.x.device):
            drawn = Importance.join([model.importance(few.x, few.label, count, fixed) for count in counts])
        log_weights = drawn.log_weights()
        effective = torch.exp(2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0))
        kl = (drawn.log_posterior - drawn.log_prior).mean(0)
        return tuple(found.cpu() for found in (-drawn.log_likelihood.mean(0), kl, -drawn.log_evidence(), effective))

    parts = [(index, few, fixed) for index, (few, fixed) in enumerate(zip(batch.split(size), given, strict=False))]
    return Bounds(*(torch.cat(column) for column in zip(*sharded(parts, of_part), strict=True)))


@torch.no_grad()
def quadrature_nll(model: HasLatent, x: Tensor, side: int, spread: float = 1.5) -> Tensor:
    """−ln p(x), (n,), on the CPU, under the prior N(0, I) of a plane, by the midpoint rule with side² points.

    The points are even in the quantiles of N(0, spread²): dense where the prior is, and reaching beyond its tails.
    """
    z, log_weight = lattice(side, spread, x.device)
    size = max(1, min(2048, _VALUES // x[0].numel()))

    def of_part(part: tuple[Tensor, Tensor]) -> Tensor:
        points, weights = part
        return (model.log_likelihoods(x, points).float() + weights).logsumexp(1).cpu()

    total = torch.full((len(x),), -torch.inf)
    for part in sharded([*zip(z.split(size), log_weight.split(size), strict=True)], of_part):
        total = torch.logaddexp(total, part)
    return -total


def lattice(side: int, spread: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Points z (side², 2) and ln of the quadrature weights (side²,) whose sum over f approximates ∫ f(z) N(z; 0, I) dz."""
    u = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    z = torch.cartesian_prod(*[spread * torch.special.ndtri(u)] * 2)
    log_weight = -0.5 * z.square().sum(1) * (1 - spread**-2)
    return z.float().to(device), (log_weight - log_weight.logsumexp(0)).float().to(device)


@torch.no_grad()
def squared_error(model: HasPosterior, batch: Batch, draws: int = 8) -> tuple[float, float]:
    """E_q |x − E[x|z]|², summed over an example, and KL(q(z|x) ‖ N(0, I)) in nats; averaged over examples and `draws` samples."""
    error, kl = 0.0, 0.0
    size = max(1, _VALUES // batch.x[0].numel() // draws)
    for few in batch.split(size):
        drawn = model.importance(few.x, few.label, draws)
        decoded = model.decode(drawn.z.flatten(0, 1), None if few.label is None else few.label.repeat(draws))
        error += float((few.x - decoded.unflatten(0, (draws, len(few.x)))).square().sum())
        kl += float((drawn.log_posterior - log_standard(drawn.z)).sum())
    return error / draws / len(batch.x), kl / draws / len(batch.x)


def active_units(z: Tensor, threshold: float = 0.01) -> int:
    """Latent dimensions whose posterior mean, z (n, latent), varies over the data: variance above 0.01.

    Source: Burda et al., Importance Weighted Autoencoders (2016).
    """
    return int((z.var(0, correction=min(1, len(z) - 1)) > threshold).sum())


def fitted_posteriors(model: HasPosterior, batch: Batch, steps: int = 400, k: int = 16) -> Tensor:
    """Posterior parameters optimised for each example alone, from the encoder's: what they gain is the amortization gap.

    Source: Cremer, Li & Duvenaud, Inference Suboptimality in Variational Autoencoders (2018).
    """
    parameters = model.infer(batch.x, batch.label).detach().requires_grad_()
    optimizer = torch.optim.Adam([parameters], lr=0.05)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
        loss = -model.importance(batch.x, batch.label, k, parameters).log_weights().mean(0).sum()
        (parameters.grad,) = torch.autograd.grad(loss, [parameters])
        optimizer.step()
    return parameters.detach()
