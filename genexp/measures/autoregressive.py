"""What whole numbers cost in bits, beside tables of counts and a compressor; training beside test; what a cache saves."""

import lzma
import math

import torch
from torch import Tensor

from genexp.data.text import words
from genexp.machine.device import all_digits
from genexp.measures.cost import seconds_per_thousand
from genexp.measures.counts import best_table, most_columns, of_pictures, parts_of_text
from genexp.measures.likelihood import likelihood, of_likelihood, of_test
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

COUNTED = 2_000_000  # pixels that a table of counts is made of
LONGEST = 8  # characters of context that a table of counts looks at, at most
AT_ONCE = 32  # passages
MOST_HIDDEN = 0.5  # of the numbers; dropout of more teaches little
BY_HEART = 0.02  # of the nll: by so much less training examples cost where they were learnt by heart


@measure(
    "bits_per_dim",
    "bits that each number of a held-out example costs: greys, bits and symbols, whose probabilities are exact",
    better="lower",
    headline=39,
    model={"discrete", "exact"},
    data={"drawn"},
    constraint="likelihood",
)
@cannot_see("whether samples look right: most bits are spent on fine detail, and little on what a picture shows")
def bits_of_whole_numbers(subject: Subject) -> Value:
    """Of pictures beside a table of counts of each pixel's neighbours above and to the left."""
    nll, bits = of_likelihood(of_test(subject)), math.prod(subject.data.spec.shape) * math.log(2)
    error = None if nll.error is None else nll.error / bits
    return Value(float(nll.value) / bits, floor=0.0, baseline=counted_pixels(subject), error=error)  # type: ignore[arg-type]


@once
def counted_pixels(subject: Subject) -> float | None:
    """Bits per pixel of the best table of counts with back-off; None of what is no picture of one channel."""
    if not {"pictures", "examples"} <= subject.knows or subject.data.spec.shape[0] != 1:
        return None
    head, pixels = subject.model.head, math.prod(subject.data.spec.shape)
    columns = most_columns(head.levels, 12)

    def seen(x: Tensor) -> object:
        return of_pictures(head.number(x).cpu().numpy()[:, 0], columns)

    data, many = subject.data, max(1, COUNTED // pixels)
    train = data.examples(many, seed_for(subject.settings.seed, "counts")).x
    validation = data.heldout(many // 4 + 1, seed_for(subject.settings.seed, "counts")).x
    return best_table(seen(train), seen(validation), seen(subject.test.x), head.levels)[1] / math.log(2)  # type: ignore[arg-type]


@measure(
    "bits_per_character",
    "bits that each character of the test text costs, with half a passage or more before it; /counts: a table of counts with "
    "back-off; /xz: the compressor, given the training text",
    better="lower",
    headline=38,
    model={"autoregressive", "discrete"},
    data={"text", "examples"},
    constraint="likelihood",
)
@cannot_see("whether what is written makes sense over more than the passage that it saw")
def bits_per_character(subject: Subject) -> dict[str, Value]:
    cost = text_nats(subject) / math.log(2)
    runs = cost[: len(cost) // 256 * 256].view(-1, 256).mean(1) if len(cost) >= 512 else cost  # neighbours are not independent
    error = float(runs.std()) / math.sqrt(len(runs))
    return {"": Value(float(cost.mean()), error=error), "counts": counted_text(subject), "xz": Value(compressed(subject))}


@once
def text_nats(subject: Subject) -> Tensor:
    """−ln p of each character of the test text, or of as much of it as `evaluation.num_points` passages are, (characters,).

    Passages overlap by half: of each but the first the second half counts, which has the first one before it.
    """
    data, length = subject.data, subject.data.length
    text = data.test_text[: length * subject.settings.evaluation.num_points].to(subject.device)
    half = length // 2
    passages = text.unfold(0, length, length - half)
    found = []
    with all_digits(subject.device):
        for part in passages.split(AT_ONCE):
            found.append(subject.model.nats(part).double().cpu())
    nats = torch.cat(found)
    return torch.cat([nats[0], nats[1:, half:].flatten()])


def counted_text(subject: Subject) -> Value:
    """Of the same characters, which have the whole text before them."""
    data, scored = subject.data, len(text_nats(subject))
    parts = [part.cpu().numpy() for part in (data.train_text, data.validation_text, data.test_text[:scored])]
    columns = most_columns(data.spec.levels, LONGEST)
    train, validation, test = parts_of_text(parts, columns)
    return Value(best_table(train, validation, test, data.spec.levels)[1] / math.log(2))


def compressed(subject: Subject) -> float:
    """By how many bits a character of the test text makes the compressed training text longer."""
    data, scored = subject.data, len(text_nats(subject))
    train, test = (words(data.spec, part[None])[0].encode() for part in (data.train_text, data.test_text[:scored]))
    both, alone = (len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)) for text in (train + test, train))
    return 8 * (both - alone) / scored


@measure(
    "nll_train", "the same of as many training examples: what is below nll was learnt by heart, nats", model={"autoregressive"},
    data={"examples"},
)  # fmt: skip
@cannot_see("which examples are known by heart: it is a mean")
def nll_train(subject: Subject) -> Value:
    x = subject.data.examples(len(subject.test.x), seed_for(subject.settings.seed, "train")).x
    return of_likelihood(likelihood(subject, x))


@suggests(11)
def dropout(case: Case) -> Suggestion | None:
    """A model that knows its training examples better than others, by more than chance."""
    train, test, error = case.number("nll_train"), case.number("nll"), case.number("nll_error") or 0.0
    if train is None or test is None or test - train < max(BY_HEART * abs(test), 4 * error):
        return None
    said = f"Training examples cost {test - train:.3g} nats less than others: it has learnt them by heart."
    hidden = case.setting("model.dropout")
    if isinstance(hidden, int | float) and hidden < MOST_HIDDEN:
        return Suggestion(
            f"{said} Dropout makes that harder.", (f"model.dropout={min(MOST_HIDDEN, max(0.2, 2 * hidden)):g}",), more=False
        )
    return Suggestion(f"{said} A smaller training budget stops before that.", case.longer(0.5), more=False)


@measure(
    "seconds_sample_plain",
    "to draw a thousand samples where each step computes everything anew, seconds: what a cache saves",
    better="lower",
    model={"autoregressive"},
    wall_clock=True,
)
def seconds_sample_plain(subject: Subject) -> Value | None:
    """None of a model without a cache."""
    model = subject.model
    if not model.cached:
        return None

    def draw(size: int) -> None:
        with seeded(seed_for(subject.settings.seed, "plain"), subject.device):
            model.complete(subject.test.x[:1].repeat(size, *[1] * len(model.shape)), 0, cached=False)

    return Value(seconds_per_thousand(subject, draw))
