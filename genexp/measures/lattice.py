"""Observables of a lattice field by weighted samples, beside those of a long Hamiltonian Monte Carlo that is run here; and what
Metropolis–Hastings with the model's samples as proposals is worth.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.data.lattice import correlator, magnetisation
from genexp.machine.device import wait_for
from genexp.measures.record import LeftOut, Value, cannot_see, measure
from genexp.measures.targets import weighted
from genexp.samplers import diagnostics
from genexp.samplers.fields import Independent, hmc_move, independent, warmed
from genexp.subject import Subject, once

MODEL, DATA = {"sample", "exact"}, {"lattice"}
CHAINS, PROPOSING = 256, 64  # of HMC, and of the proposals
MOST, BURN_IN = 1_000, 200  # transitions of each chain of HMC that are kept, and those before
TIMED = 40  # transitions
LEAST = 8  # draws of each chain of proposals: of fewer nothing is said


@dataclass(frozen=True)
class Estimate:
    """Of several observables: means and their standard errors, (k,), float64."""

    mean: Tensor
    error: Tensor


@dataclass(frozen=True)
class Reference:
    """A long HMC: observables (transitions, chains, k), magnetisations (transitions, chains), the last fields (chains, dim), the
    step of the leapfrog and the share of the transitions that was accepted.
    """

    observables: Tensor
    magnetisation: Tensor
    fields: Tensor
    step: float
    acceptance: float

    @property
    def estimate(self) -> Estimate:
        """With the error that the means of the chains, which are independent, have by their spread."""
        means = self.observables.mean(0)
        return Estimate(means.mean(0), means.std(0) / math.sqrt(len(means)))


def observables(subject: Subject, x: Tensor) -> Tensor:
    """|m|, side² m², S/side² and C(0) … C(side/2) of each field, (n, k), float64."""
    sites, m, decay = x.shape[1], magnetisation(x), correlator(x)[:, : subject.data.side // 2 + 1]
    few = torch.stack([m.abs(), sites * m.square(), subject.data.action(x) / sites], dim=1)
    return torch.cat([few, decay], dim=1).double()


@once
def reference(subject: Subject) -> Reference:
    """HMC from φ = 0, about four states for each sample of the run. LeftOut where hardly any proposal is accepted."""
    data, wanted = subject.data, 4 * subject.settings.evaluation.num_samples
    transitions = max(20, min(MOST, wanted // CHAINS))
    x = torch.zeros(CHAINS, data.side**2)
    x, step = warmed(x, data.log_density, data.force, min(BURN_IN, 2 * transitions))
    found, magnetisations, accepted = [], [], 0.0
    for _ in range(transitions):
        move = hmc_move(x, data.log_density, data.force, step)
        x, accepted = move.x, accepted + float(move.accepted.double().mean())
        found.append(observables(subject, x))
        magnetisations.append(magnetisation(x))
    if accepted < 0.05 * transitions:
        raise LeftOut(f"HMC accepts only {accepted / transitions:.1%} of its proposals, and is no reference")
    return Reference(torch.stack(found), torch.stack(magnetisations), x, step, accepted / transitions)


@once
def estimate(subject: Subject) -> Estimate:
    """Σ w O / Σ w over the samples, whose error is √Σ w²(O − ⟨O⟩)² / Σ w. LeftOut where a weight is no number."""
    log_weight = weighted(subject).log_weight
    if not bool(log_weight.isfinite().all()):
        raise LeftOut(f"the action or ln q is no number at {int((~log_weight.isfinite()).sum())} of {len(log_weight)} samples")
    parts = subject.samples[: len(log_weight)].split(subject.settings.evaluation.batch_size)
    values = torch.cat([observables(subject, part) for part in parts])
    share = log_weight.softmax(0)[:, None]
    mean = (share * values).sum(0)
    return Estimate(mean, (share * (values - mean)).square().sum(0).sqrt())


def beside(subject: Subject, index: int, exact: float | None = None) -> dict[str, Value]:
    """The observable of that number; under `hmc` what HMC finds, and under `sigmas` their difference in combined errors."""
    ours, theirs = estimate(subject), reference(subject).estimate
    gap, error = float(ours.mean[index] - theirs.mean[index]), math.hypot(ours.error[index], theirs.error[index])
    return {
        "": Value(float(ours.mean[index]), exact=exact, error=float(ours.error[index])),
        "hmc": Value(float(theirs.mean[index]), exact=exact, error=float(theirs.error[index])),
        "sigmas": Value(gap / error if error > 0 else None),
    }


def if_free(subject: Subject, value: Callable[[], float]) -> float | None:
    """What is known of the free theory; None with an interaction."""
    return value() if subject.data.free else None


@measure("magnetisation", "⟨|m|⟩, m the mean of a field, by weighted samples", headline=47, model=MODEL, data=DATA)
@cannot_see("an odd split between the two signs: |m| is the same")
def mean_magnetisation(subject: Subject) -> dict[str, Value]:
    """Of the free theory m is Gaussian: ⟨|m|⟩² = 2/π ⟨m²⟩."""
    return beside(subject, 0, if_free(subject, lambda: math.sqrt(1 / (math.pi * subject.data.m2)) / subject.data.side))


@measure("susceptibility", "side² ⟨m²⟩ by weighted samples", headline=48, model=MODEL, data=DATA)
def susceptibility(subject: Subject) -> dict[str, Value]:
    return beside(subject, 1, if_free(subject, lambda: 1 / (2 * subject.data.m2)))


@measure("action_density", "⟨S⟩ for each site, by weighted samples", headline=49, model=MODEL, data=DATA)
def action_density(subject: Subject) -> dict[str, Value]:
    return beside(subject, 2, if_free(subject, lambda: 0.5))


@measure("two_point", "C(t), the two-point function at momentum zero, by weighted samples", model=MODEL, data=DATA)
def two_point(subject: Subject) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for t in range(subject.data.side // 2 + 1):
        exact = if_free(subject, lambda t=t: float(subject.data.free_correlator()[t]))  # type: ignore[misc]
        found |= {f"{t}/{ending}" if ending else f"{t}": value for ending, value in beside(subject, 3 + t, exact).items()}
    return found


# --- chains ----------------------------------------------------------------------------------------------------------


@once
def proposed(subject: Subject) -> Independent:
    """Independence Metropolis–Hastings: the run's samples as proposals of so many chains. LeftOut where they are too few."""
    log_weight = weighted(subject).log_weight
    draws = len(log_weight) // min(PROPOSING, max(1, len(log_weight) // LEAST))
    if draws < LEAST or not bool(log_weight.isfinite().all()):
        raise LeftOut(f"{len(log_weight)} samples, not all with a weight, are no chain of proposals")
    chains = len(log_weight) // draws
    table = log_weight[: draws * chains].view(chains, draws).mT.contiguous()
    return independent(table, torch.Generator().manual_seed(0))


@once
def proposed_magnetisation(subject: Subject) -> Tensor:
    """m along these chains, (draws, chains)."""
    chosen = proposed(subject).chosen
    draws, chains = chosen.shape
    m = magnetisation(subject.samples[: draws * chains]).double().view(chains, draws).mT
    return m.gather(0, chosen)


@measure(
    "acceptance",
    "share of the samples that independence Metropolis–Hastings accepts",
    better="higher",
    headline=45,
    model=MODEL,
    data=DATA,
)
@cannot_see("configurations that the model never proposes")
def acceptance(subject: Subject) -> Value:
    return Value(proposed(subject).acceptance, exact=1.0)


def time_of(m: Tensor) -> float:
    """Integrated autocorrelation time of |m|, (draws, chains), in draws."""
    return diagnostics.autocorrelation_time(m.abs().mT)


@measure(
    "autocorrelation_time",
    "1 + 2 Σ_t ρ_t of |m| with the samples as proposals; /signed: of m",
    better="lower",
    model=MODEL,
    data=DATA,
)
@cannot_see("moves that are rarer than the chains are long")
def autocorrelation_time(subject: Subject) -> dict[str, Value]:
    """And of HMC; and of the signed m, which tells whether a chain changes sign."""
    both = {"": proposed_magnetisation(subject), "hmc": reference(subject).magnetisation}
    found = {name: Value(time_of(m)) for name, m in both.items()}
    return found | {
        f"{name}/signed" if name else "signed": Value(diagnostics.autocorrelation_time(m.mT)) for name, m in both.items()
    }


@measure(
    "ess_per_second",
    "effective samples of |m| a second: the samples as proposals; HMC of many chains at once, and of one",
    better="higher",
    model={"sample", "exact", "layers"},
    data=DATA,
    wall_clock=True,
)
def ess_per_second(subject: Subject) -> dict[str, Value]:
    """Times are of transitions alone, without burn-in and training. HMC has the force in closed form."""
    data, found = subject.data, reference(subject)
    size = min(subject.settings.evaluation.batch_size, len(subject.samples))

    def propose() -> None:
        x, _ = subject.model.sample_with_log_prob(size)
        data.log_density(x)

    time_hmc = time_of(found.magnetisation)
    speeds = {"": size / seconds(propose, 3, subject.device) / time_of(proposed_magnetisation(subject))}
    for name, x in (("hmc", found.fields), ("hmc_one_chain", found.fields[:1])):
        taken = seconds(lambda x=x: hmc_move(x, data.log_density, data.force, found.step), TIMED, subject.device)  # type: ignore[misc]
        speeds[name] = len(x) / taken / time_hmc
    return {name: Value(float(f"{speed:.3g}")) for name, speed in speeds.items()}


def seconds(call: Callable[[], object], times: int, device: torch.device) -> float:
    """What one of so many calls takes on the device, after one that warms up."""
    call()
    wait_for(device)
    began = time.perf_counter()
    for _ in range(times):
        call()
    wait_for(device)
    return (time.perf_counter() - began) / times
