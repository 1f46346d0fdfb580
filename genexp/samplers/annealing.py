"""Annealed importance sampling: points of one density are led to another, and their weights make up for what is missing.

    ln f_β = (1 − αβ) ln q + αβ ln p̃,   0 = β_0 < β_1 < … < β_J = 1:  from q to p̃^α q^(1−α), of α = 1 to p̃ itself,
    x_0 ~ q,   x_j ~ K_j(·|x_j−1) with K_j a Markov chain that leaves f_β_j as it is,
    ln w = Σ_j [ln f_β_j − ln f_β_j−1](x_j−1).

E[w] = ∫ p̃^α q^(1−α), however badly the chains mix, and weighted by w the points are samples of the last density. With J = 1
there is no chain: plain importance sampling.

Source: Neal, Annealed Importance Sampling (2001).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.samplers.hmc import hmc
from genexp.samplers.kernels import LogDensity, with_gradient

WANTED, FASTER = 0.65, 1.1  # acceptance, and by how much a step size is changed that has another one


@dataclass(frozen=True)
class Annealed:
    """Points x (n, dim), ln of their weights (n,), ln q at x (n,), and the mean acceptance of each of the J − 1 chains."""

    x: Tensor
    log_weight: Tensor
    log_q: Tensor
    acceptance: Tensor


@torch.no_grad()
def anneal(
    x: Tensor, log_q: LogDensity, log_p: LogDensity, betas: Tensor, step_sizes: Tensor, leaps: int, alpha: float = 1.0
) -> Annealed:
    """Lead samples x (n, dim) of q along the densities of `betas` (J + 1,), by one transition of Hamiltonian Monte Carlo at each
    but the last.

    Args:
        log_q, log_p: (n, dim) → (n,), in nats; differentiable.
        step_sizes: of the leapfrog, (J − 1,); leaps: how many steps it takes.
        alpha: α.

    Raises:
        UserError: ln p̃ is NaN, or +∞, at some of the points.
    """
    at: dict[str, Tensor] = {}
    log_weight, acceptance = x.new_zeros(len(x)), []
    for number, (before, beta) in enumerate(zip(betas[:-1].tolist(), betas[1:].tolist(), strict=True)):

        def log_f(x: Tensor, share: float = alpha * beta) -> Tensor:
            at["q"], at["p"] = log_q(x), log_p(x)
            return (1 - share) * at["q"] + share * at["p"]

        last = number == len(step_sizes)
        state = {"log_p": log_f(x)} if last else with_gradient(log_f, x)
        check(at["p"])
        log_weight = log_weight + alpha * (beta - before) * (at["p"] - at["q"]).detach()
        here = at["q"].detach()
        if not last:
            moved = hmc(x, log_f, step_sizes[number], leaps, state)
            x = moved.x
            acceptance.append(moved.diagnostics.acceptance.mean())
    return Annealed(x, log_weight, here, torch.stack(acceptance) if acceptance else x.new_zeros(0))


def check(log_p: Tensor) -> None:
    """UserError where a density is no number, or infinite."""
    bad = int((log_p.isnan() | log_p.isposinf()).sum())
    if bad:
        raise UserError(
            f"the log density is NaN or +inf at {bad} of {len(log_p)} points", hint="where the density is 0 it is -inf"
        )


def tuned(step_sizes: Tensor, acceptance: Tensor) -> Tensor:
    """Longer steps where more than WANTED is accepted, shorter ones where less is; (J − 1,).

    Weights stay unbiased where the points by which the steps were tuned are not those that are kept.
    """
    return step_sizes * torch.where(acceptance > WANTED, FASTER, 1 / FASTER)
