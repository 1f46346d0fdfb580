"""Of models that turn an example into symbols: how many of these are used, how evenly, and what an example costs by them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.measures.floors import floor_of_pictures, known
from genexp.measures.likelihood import of_test, standard_error
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.subject import Subject, once

PART = 512  # examples at a time
MODEL = {"codes"}


@dataclass(frozen=True)
class Coded:
    """Of the test examples: their codes (n, …); −ln p(x|k) and −ln P(k), (n,), in nats; on the CPU. `size`: how many symbols."""

    index: Tensor
    reconstruction: Tensor
    cost: Tensor
    size: int


@once
@torch.no_grad()
def coded(subject: Subject) -> Coded:
    model, parts = subject.model, []
    for few in subject.test.split(PART):
        index = model.codes(few.x)
        parts.append((index.cpu(), -model.log_likelihood(few.x, index).double().cpu(), -model.log_prior(index).double().cpu()))
    index, reconstruction, cost = (torch.cat(part) for part in zip(*parts, strict=True))
    return Coded(index, reconstruction, cost, model.symbols)


@measure(
    "code_bound",
    "−ln p(x|k) − ln P(k), a bound of −ln p(x), nats an example",
    better="lower",
    headline=25,
    model=MODEL,
    constraint="likelihood",
)
@cannot_see("codes that go together: each place of the grid is charged by itself")
def code_bound(subject: Subject) -> Value:
    found = coded(subject)
    nats = found.reconstruction + found.cost
    return Value(float(nats.mean()), floor=known(subject).examples, baseline=known(subject).blind, error=standard_error(nats))


@measure("code_reconstruction", "−ln p(x|k) of an example's own codes k, nats an example", better="lower", model=MODEL)
@cannot_see("what the codes themselves cost")
def code_reconstruction(subject: Subject) -> Value:
    return Value(float(coded(subject).reconstruction.mean()), floor=known(subject).pixels)


@measure("code_cost", "−ln P(k) of an example's codes, nats; and of codes that are all as frequent", better="lower", model=MODEL)
def code_cost(subject: Subject) -> Value:
    found = coded(subject)
    return Value(float(found.cost.mean()), baseline=found.index[0].numel() * math.log(found.size))


@measure("perplexity", "how many codes there would be if all in use were as frequent", better="higher", model=MODEL)
@cannot_see("whether codes say different things: it counts how evenly they are used")
def perplexity(subject: Subject) -> Value:
    share = _shares(subject)
    return Value(float(torch.special.entr(share).sum().exp()), exact=float(coded(subject).size))


@suggests(40)
def fewer_codes(case: Case) -> Suggestion | None:
    """A codebook most of which nothing uses."""
    perplexity, size = case.number("perplexity"), case.setting("model.codes")
    if perplexity is None or not isinstance(size, int) or perplexity > size / 4 or size < 16:
        return None
    said = f"Of {size} codes as many are in use as {perplexity:.0f} that were all as frequent would be: half of them may do."
    return Suggestion(said, (case.times("model.codes", 0.5),))


@measure("used_codes", "share of the codes that the test examples use", better="higher", model=MODEL)
@cannot_see("how often each is used")
def used_codes(subject: Subject) -> Value:
    return Value(float((_shares(subject) > 0).double().mean()))


def _shares(subject: Subject) -> Tensor:
    """Of each symbol among all codes of the test examples, (K,)."""
    counts = torch.bincount(coded(subject).index.flatten(), minlength=coded(subject).size).double()
    return counts / counts.sum()


@measure(
    "code_bound",
    "−ln p(x|k) − ln P(k) with this model as P, a bound of −ln p(x) of the pictures, nats an example",
    better="lower",
    headline=25,
    model={"exact"},
    data={"decoder"},
)
@cannot_see("codes that go together: each place of the grid is charged by itself")
def code_bound_of_prior(subject: Subject) -> Value:
    log_p = of_test(subject).log_prob
    nats = subject.data.reconstruction(len(log_p)) - log_p
    floor = floor_of_pictures(subject.data.pictures[: len(log_p)], subject) if subject.data.pictures.greys is not None else None
    return Value(float(nats.mean()), floor=floor, error=standard_error(nats))
