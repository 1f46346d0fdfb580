"""How well Markov chains have mixed, and what their samples are worth.

Of a point each coordinate is looked at by itself, and what is said is of the worst. Of states that are kept every `thin`
transitions, times are in these.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.samplers import diagnostics
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

CHAINS = {"chains"}
MOST = 64  # chains whose way from mode to mode is followed
MIXED = 1.01  # R̂ of chains that agree


@once
def draws(subject: Subject) -> Tensor:
    """What was kept, (chains, draws, dim), float64 on the CPU."""
    return subject.model.draws().flatten(2).double().cpu()  # type: ignore[no-any-return]


def of_each(subject: Subject, function: Callable[[Tensor], float]) -> list[float]:
    """A number of every coordinate."""
    return [function(coordinate) for coordinate in draws(subject).unbind(2)]


def worst(values: list[float], largest: bool = True) -> float | None:
    """The largest, or the least; None where a coordinate has none, because it never moves."""
    return None if any(map(math.isnan, values)) else max(values) if largest else min(values)


# --- mixing ----------------------------------------------------------------------------------------------------------


@measure("acceptance", "mean probability that a proposal is accepted, after the burn-in", headline=50, model=CHAINS)
@cannot_see("how far an accepted move goes: tiny steps are accepted always")
def acceptance(subject: Subject) -> dict[str, Value] | None:
    """Of a kernel with several kinds of moves also of each."""
    tally = subject.model.tally
    if not tally.transitions:
        return None
    each = {move: rate.nanmean() for move, rate in zip(tally.moves, tally.acceptance, strict=True)}
    found = {move: Value(float(rate)) for move, rate in each.items() if not rate.isnan()}
    if len(tally.moves) == 1:
        return {"": found[tally.moves[0]]}
    return {"": Value(float(tally.accepted.double().mean()) / tally.transitions), **found}


@measure("never_accepted", "share of the chains that accepted no proposal after the burn-in", better="lower", model=CHAINS)
def never_accepted(subject: Subject) -> Value | None:
    tally = subject.model.tally
    return Value(float((tally.accepted == 0).double().mean()), floor=0.0) if tally.transitions else None


@measure(
    "r_hat",
    "rank-normalised split R̂ of the worst coordinate: at most 1.01 once chains have mixed",
    better="lower",
    headline=46,
    model=CHAINS,
)
@cannot_see("a mode that no chain has visited")
def r_hat(subject: Subject) -> Value:
    return Value(worst(of_each(subject, diagnostics.r_hat)), floor=1.0)


@once
def ess(subject: Subject) -> float | None:
    return worst(of_each(subject, diagnostics.ess_bulk), largest=False)


@suggests(5)
def longer_chains(case: Case) -> Suggestion | None:
    """Chains that do not agree with each other yet."""
    r_hat = case.number("r_hat")
    if r_hat is None or r_hat <= MIXED or not case.setting("model.draws"):
        return None
    said = (
        f"R̂ is {r_hat:.3g}, above {MIXED}: the chains do not agree yet, and no number of them can be believed. Longer ones may."
    )
    return Suggestion(said, (case.times("model.burn_in", 2), case.times("model.draws", 2)))


@measure(
    "effective_samples",
    "independent samples that the draws are worth (bulk, the worst coordinate)",
    better="higher",
    headline=47,
    model=CHAINS,
)
@cannot_see("a mode that no chain has visited")
def effective_samples(subject: Subject) -> Value:
    return Value(ess(subject))


@measure(
    "autocorrelation_time",
    "1 + 2 Σ_t ρ_t of the worst coordinate by Geyer's initial monotone sequence, in draws",
    better="lower",
    headline=48,
    model=CHAINS,
)
@cannot_see("moves that are rarer than the chains are long")
def autocorrelation_time(subject: Subject) -> Value:
    return Value(worst(of_each(subject, diagnostics.autocorrelation_time)))


@measure(
    "ess_per_gradient",
    "effective samples for each gradient of the log density after the burn-in",
    better="higher",
    headline=49,
    model=CHAINS,
)
def ess_per_gradient(subject: Subject) -> Value | None:
    """Of the gradients of all chains."""
    return _per(subject, subject.model.tally.gradients)


@measure("ess_per_density", "effective samples for each log density, of moves without gradients", better="higher", model=CHAINS)
def ess_per_density(subject: Subject) -> Value | None:
    tally = subject.model.tally
    return _per(subject, tally.densities) if not tally.gradients else None


def _per(subject: Subject, evaluations: int) -> Value | None:
    found, chains = ess(subject), len(subject.model.tally.accepted)
    return Value(found / (evaluations * chains)) if evaluations and found is not None else None


@measure(
    "ess_per_second",
    "effective samples a second of the whole run, the burn-in counted",
    better="higher",
    model=CHAINS,
    wall_clock=True,
)
def ess_per_second(subject: Subject) -> Value | None:
    seconds, found = subject.training.get("seconds_train"), ess(subject)
    return Value(found / seconds) if seconds and found is not None else None


@measure(
    "energy_error",
    "mean size of what an integrator misses of the energy, nats, where it does not diverge",
    better="lower",
    model=CHAINS,
)
@cannot_see("whether the chain mixes")
def energy_error(subject: Subject) -> Value | None:
    found = subject.model.tally.energy_error
    return None if math.isnan(found) else Value(found)


@measure(
    "divergences",
    "share of the ways on which an integrator missed more than 1,000 nats of the energy",
    better="lower",
    model=CHAINS,
)
@cannot_see("regions so steep that no way ever leads into them")
def divergences(subject: Subject) -> Value | None:
    tally = subject.model.tally
    if math.isnan(tally.energy_error) and not tally.divergent:
        return None
    return Value(tally.divergent / (tally.transitions * len(tally.accepted)), floor=0.0)


# --- what is known of the target -------------------------------------------------------------------------------------


@measure(
    "stationary_variance",
    "variance of the draws, the mean of all coordinates; exact: what these moves have in theory",
    better="exact",
    unit="(units of x)²",
    headline=51,
    model=CHAINS,
    data={"covariance"},
)
@cannot_see("everything beyond second moments")
def stationary_variance(subject: Subject) -> dict[str, Value]:
    """For the moves as they are, if that is known, and under `target` that of the target itself. The error follows from that of
    each square.
    """
    kept, truth = draws(subject), subject.density.covariance.double()
    theory = subject.model.stationary_covariance(truth)
    squares = (kept - kept.mean((0, 1))).square().mean(2)
    error = float(squares.std()) / math.sqrt(diagnostics.effective(squares))
    return {
        "": Value(float(squares.mean()), exact=None if theory is None else float(theory.diagonal().mean()), error=error),
        "target": Value(float(truth.diagonal().mean())),
    }


@measure("mode_share", "share of the draws in a mode; exact: its mass", better="exact", headline=52, model=CHAINS, data={"modes"})
@cannot_see("how well chains mix within a mode")
def mode_share(subject: Subject) -> dict[str, Value]:
    """The error is that of the mean over chains: chains that stay where they began disagree, and it is large."""
    masses, shares = subject.density.mode_masses, _shares(subject, draws(subject))
    if len(masses) > 8:
        gap = 0.5 * float((shares.mean(0) - masses).abs().sum())
        return {"misplaced": Value(gap / float(masses.sum()), floor=0.0)}
    error = shares.std(0) / math.sqrt(len(shares)) if len(shares) > 1 else [None] * len(masses)
    return {
        str(index): Value(float(share), exact=float(mass), error=None if wrong is None else float(wrong))
        for index, (share, mass, wrong) in enumerate(zip(shares.mean(0), masses, error, strict=True))
    }


def _shares(subject: Subject, kept: Tensor) -> Tensor:
    """Of each chain the share of its draws in each mode, (chains, modes)."""
    return torch.stack([subject.density.mode_shares(chain) for chain in kept])


@measure(
    "draws_to_all_modes",
    "draws until a chain has been in every mode: the median over chains, none where most never are",
    better="lower",
    unit="draws",
    headline=53,
    model=CHAINS,
    data={"modes"},
)
@cannot_see("whether modes have their right masses")
def draws_to_all_modes(subject: Subject) -> dict[str, Value]:
    """And the share of the chains that have; of those with jumps also what the local moves do by themselves."""
    return {name: value for kind, kept in ways(subject).items() for name, value in _times(subject, kept, kind).items()}


@once
def ways(subject: Subject) -> dict[str, Tensor]:
    """The draws under "", and under "local" those of the local moves by themselves, (chains, draws, dim)."""
    found = {"": draws(subject)[:MOST]}
    if "local_moves" in subject.can:
        found["local"] = alone(subject).flatten(2).double()[:MOST]
    return found


@once
def alone(subject: Subject) -> Tensor:
    """What the local moves do by themselves from where the chains began: as many draws, on the CPU."""
    log_density, steps = subject.data.heldout(1, 0).log_density, draws(subject).shape[1]
    with seeded(seed_for(subject.settings.seed, "local moves"), subject.device):
        return subject.model.alone(steps, log_density).cpu()  # type: ignore[no-any-return]


def _times(subject: Subject, kept: Tensor, kind: str) -> dict[str, Value]:
    times = [_until_all(subject, chain) for chain in kept]
    reached = sorted(math.inf if time is None else time for time in times)
    median = reached[(len(reached) - 1) // 2]
    share = sum(time is not None for time in times) / len(times)
    named = f"{kind}/" if kind else ""
    return {kind: Value(None if math.isinf(median) else int(median)), f"{named}reached": Value(share)}


def _until_all(subject: Subject, chain: Tensor) -> int | None:
    """After how many draws (n, dim) a chain has been in all modes: what it has seen only grows, so that it can be halved."""

    def seen(count: int) -> bool:
        return bool((subject.density.mode_shares(chain[:count]) > 0).all())

    low, high = 1, len(chain)
    if not seen(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) else (middle + 1, high)
    return low
