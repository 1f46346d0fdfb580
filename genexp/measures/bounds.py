"""Bounds of the likelihood of latent-variable models, p(x) = ∫ p(x|z) p(z) dz, in nats, by samples of the posterior."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.latent.importance import HasPosterior, Importance
from genexp.machine.distributed import sharded
from genexp.measures.floors import known
from genexp.measures.likelihood import standard_error
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL = {"posterior", "latents"}
FINE = 5_000  # posterior samples of each example, as published numbers have it
VALUES = 12_000_000  # decoded at a time: 50 MB
NOTICEABLE = 1.0  # nats by which a bound is worth tightening


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
    draws = max(1, min(k, VALUES // batch.x[0].numel()))
    size = max(1, VALUES // batch.x[0].numel() // draws)
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


def bounds_of(subject: Subject, batch: Batch) -> Bounds:
    """Of examples, by as many posterior samples as the settings say."""
    with seeded(seed_for(subject.settings.seed, "test"), subject.device):
        return bounds(subject.model, batch, subject.settings.evaluation.importance_samples)


@once
def of_test(subject: Subject) -> Bounds:
    """Of the test examples."""
    return bounds_of(subject, subject.test)


@measure("neg_elbo", "−ELBO, a bound of −ln p(x), nats an example", better="lower", headline=20, model=MODEL)
@cannot_see("how far it is from the likelihood: a poor encoder and a poor decoder look alike")
def neg_elbo(subject: Subject) -> Value:
    about = known(subject)
    found = of_test(subject).neg_elbo
    return Value(mean(found) + subject.log_scale, floor=about.examples, baseline=about.blind, error=error(found))


@measure("reconstruction", "−E ln p(x|z), nats an example", better="lower", model=MODEL)
@cannot_see("whether latents that the prior draws decode to anything: only those of the encoder are tried")
def reconstruction(subject: Subject) -> Value:
    return Value(mean(of_test(subject).reconstruction) + subject.log_scale, floor=known(subject).pixels)


@measure("kl_to_prior", "KL(q(z|x) ‖ p(z)), nats an example", model=MODEL)
@cannot_see("whether the information is useful: it counts nats, not what they say")
def kl_to_prior(subject: Subject) -> Value:
    return Value(mean(of_test(subject).kl))


@measure(
    "iwae_nll",
    "−ln p(x) bounded by importance-weighted samples, nats an example",
    better="lower",
    headline=65,
    model=MODEL,
    constraint="likelihood",
)
@cannot_see("posteriors that miss a mode: their weighted samples never go there, and the bound stays loose")
def iwae_nll(subject: Subject) -> Value:
    found = of_test(subject).iwae_nll
    return Value(mean(found) + subject.log_scale, floor=known(subject).examples, error=error(found))


@suggests(35)
def richer_posterior(case: Case) -> Suggestion | None:
    """A bound that is far from the likelihood, by a posterior of independent coordinates."""
    elbo, finer, error = case.number("neg_elbo"), case.number("iwae_nll"), case.number("neg_elbo_error") or 0.0
    gaussian = case.setting("model.posterior.name") == "gaussian"
    if elbo is None or finer is None or not gaussian or elbo - finer < max(NOTICEABLE, 5 * error) or case.falling:
        return None
    said = (
        f"The bound is {elbo - finer:.2g} nats or more from the likelihood: a posterior that can bend may close a part of that."
    )
    return Suggestion(said, ("model/posterior=iaf",))


@measure(
    "iwae_nll_fine",
    f"the same of the first few test examples by {FINE:,} samples, nats an example",
    better="lower",
    model=MODEL,
    asked=lambda evaluation: evaluation.fine_images > 0,
)
@cannot_see("examples beyond the first few")
def iwae_nll_fine(subject: Subject) -> Value:
    """By how much more samples than `iwae_nll` has it is tighter still: beside it, as its baseline, that of the same examples."""
    few = subject.test[: subject.settings.evaluation.fine_images]
    with seeded(seed_for(subject.settings.seed, "fine"), subject.device):
        found = bounds(subject.model, few, FINE).iwae_nll
    coarser = mean(of_test(subject).iwae_nll[: len(found)]) + subject.log_scale
    return Value(mean(found) + subject.log_scale, baseline=coarser, error=error(found))


@measure("effective_samples", "how many of the weighted samples count", better="higher", model=MODEL)
@cannot_see("modes of the posterior that no sample of it has visited")
def effective_samples(subject: Subject) -> Value:
    return Value(mean(of_test(subject).effective_samples))


@measure("importance_samples", "posterior samples of each example for iwae_nll", model=MODEL)
def importance_samples(subject: Subject) -> Value:
    return Value(subject.settings.evaluation.importance_samples)


def mean(values: Tensor) -> float:
    """Of values (n,), summed in float64."""
    return float(values.double().cpu().numpy().mean())


def error(values: Tensor) -> float | None:
    """The standard error of that mean over the examples; None of a single one."""
    return standard_error(values.double().cpu()) if len(values) > 1 else None
