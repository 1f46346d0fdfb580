"""Facts of the training and of the weights."""

import torch

from genexp.fit.validation import heldout_batch, same_noise
from genexp.measures.excess import heldout_floor
from genexp.measures.record import Value, measure
from genexp.measures.watching import Watching
from genexp.subject import Subject, once


@once
def heldout(subject: Subject) -> dict[str, float]:
    """The held-out terms of the weights that are measured, on the very examples and noise that they were chosen by."""
    settings = subject.settings
    batch = heldout_batch(subject.data, settings.trainer.eval_size, settings.seed)
    with same_noise(subject.device), torch.no_grad():
        return {name: float(value) for name, value in Watching(subject).validate(subject.model, batch).items()}


@measure("heldout_loss", "the objective on held-out data", better="lower", headline=95)
def heldout_loss(subject: Subject) -> Value:
    return Value(heldout(subject)["loss"], floor=heldout_floor(subject))


@measure("best_step", "the step whose weights were measured")
def best_step(subject: Subject) -> Value | None:
    return _fact(subject, "best_step")


@measure("parameters", "numbers that were learnt")
def parameters(subject: Subject) -> Value:
    return Value(count_parameters(subject))


@measure("steps", "training steps")
def steps(subject: Subject) -> Value | None:
    return _fact(subject, "steps")


@measure("seconds_train", "training time, seconds", better="lower", wall_clock=True)
def seconds_train(subject: Subject) -> Value | None:
    return _fact(subject, "seconds_train")


@measure(
    "cpu_seconds_train", "what the CPU computed for the training, all threads together, seconds", better="lower", wall_clock=True
)
def cpu_seconds_train(subject: Subject) -> Value | None:
    return _fact(subject, "cpu_seconds_train")


@measure("samples_per_second", "training examples a second", better="higher", wall_clock=True)
def samples_per_second(subject: Subject) -> Value | None:
    return _fact(subject, "samples_per_second")


def count_parameters(subject: Subject) -> int:
    """How many numbers the model has to learn."""
    return sum(weights.numel() for weights in subject.model.parameters())


def _fact(subject: Subject, name: str) -> Value | None:
    return Value(subject.training[name]) if name in subject.training else None
