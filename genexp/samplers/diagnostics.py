"""How well Markov chains have mixed, and how many independent samples they are worth: of one quantity, draws (chains, draws).

R̂ and the effective sample size are those of Vehtari, Gelman, Simpson, Carpenter & Bürkner, Rank-normalization, folding, and
localization: an improved R̂ for assessing convergence of MCMC (2021), in float64, as ArviZ computes them. Autocorrelations are
summed as far as Geyer's initial monotone sequence goes (Practical Markov chain Monte Carlo, 1992): ρ_2t + ρ_2t+1 is positive and
falls for every reversible chain, and the sum ends where its estimate is not positive any more.
"""

import math

import torch
from torch import Tensor

LEAST = 4  # draws of each chain: of fewer nothing is said


def split(draws: Tensor) -> Tensor:
    """Each chain as two, so that one that drifts disagrees with itself: (chains, draws) → (2·chains, draws // 2)."""
    half = draws.shape[1] // 2
    return torch.cat([draws[:, :half], draws[:, draws.shape[1] - half :]])


def rank_normalised(draws: Tensor) -> Tensor:
    """Φ⁻¹((r − 3/8)/(S + 1/4)), with r the rank of a draw among all S of them; those that are equal share their mean rank."""
    _, inverse, counts = torch.unique(draws, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    rank = (last - (counts.double() - 1) / 2)[inverse]
    return torch.special.ndtri((rank - 0.375) / (draws.numel() + 0.25))


def plain_r_hat(draws: Tensor) -> float:
    """√((N − 1)/N + B/(N W)): the variance of all draws by that within chains; NaN where nothing moves."""
    size = draws.shape[1]
    between, within = draws.mean(1).var(), draws.var(1).mean()
    return math.sqrt(float(between / within) + (size - 1) / size) if float(within) > 0 else math.nan


def r_hat(draws: Tensor) -> float:
    """Rank-normalised split R̂: the larger of that of the draws, which sees other means, and that of |draws − median|, which sees
    other widths. 1 once the chains are one distribution; at most 1.01 is asked for.
    """
    halves = split(draws.double())
    folded = (halves - median(halves)).abs()
    bulk, tail = plain_r_hat(rank_normalised(halves)), plain_r_hat(rank_normalised(folded))
    return math.nan if math.isnan(bulk) else bulk if math.isnan(tail) else max(bulk, tail)


def median(draws: Tensor) -> Tensor:
    """Of all draws; between the two in the middle, of an even number."""
    values = draws.flatten().sort().values
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def autocovariance(draws: Tensor) -> Tensor:
    """c_t = 1/N Σ_n (x_n − x̄)(x_n+t − x̄) of each chain, for all t: (chains, draws), by a Fourier transform."""
    size = draws.shape[1]
    centred = draws - draws.mean(1, keepdim=True)
    transformed = torch.fft.rfft(centred, n=2 * size)
    return torch.fft.irfft(transformed.abs().square(), n=2 * size)[:, :size] / size


def autocorrelation(draws: Tensor) -> Tensor:
    """ρ_t of all chains together, (draws,): chains that lie apart have much at every t."""
    chains, size = draws.shape
    covariance = autocovariance(draws).mean(0) * size / (size - 1)
    total = covariance[0] * (size - 1) / size + (draws.mean(1).var() if chains > 1 else 0.0)
    rho = 1 - (covariance[0] - covariance * (size - 1) / size) / total
    rho[0] = 1.0
    return rho


def autocorrelation_time(draws: Tensor) -> float:
    """τ = 1 + 2 Σ_t ρ_t in draws, by Geyer's initial monotone sequence; at least 1/lg(chains·draws)."""
    draws = draws.double()
    rho = autocorrelation(draws)[: draws.shape[1] - 1]
    pairs = rho[: len(rho) // 2 * 2].view(-1, 2).sum(1)
    ends = (pairs[1:] < 0).nonzero()  # the first pair, 1 + ρ₁, always counts
    last = int(ends[0]) + 1 if len(ends) else len(pairs) - 1
    monotone = pairs[:last].cummin(0).values
    beyond = float(rho[2 * last].clamp(min=0))  # of the next pair the first half, as ArviZ has it
    return max(-1 + 2 * float(monotone.sum()) + beyond, 1 / math.log10(draws.numel()))


def effective(draws: Tensor) -> float:
    """S/τ: so many independent samples would give the mean as exactly."""
    return draws.numel() / autocorrelation_time(draws)


def ess_bulk(draws: Tensor) -> float:
    """The effective sample size of the ranks, which exists for every distribution; NaN where nothing moves."""
    if bool((draws == draws[0, 0]).all()):
        return math.nan
    return effective(rank_normalised(split(draws.double())))
