"""Facts of the training and of the weights."""

import torch

from genexp.capabilities import Objective
from genexp.fit.validation import heldout_batch, same_noise
from genexp.measures.excess import heldout_floor
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, largest_fall, suggests
from genexp.measures.watching import Watching
from genexp.subject import Subject, once


@once
def heldout(subject: Subject) -> dict[str, float]:
    """The held-out terms of the weights that are measured, on the very examples and noise that they were chosen by."""
    settings = subject.settings
    batch = heldout_batch(subject.data, settings.trainer.eval_size, settings.seed)
    with same_noise(subject.device), torch.no_grad():
        return {name: float(value) for name, value in Watching(subject).validate(subject.model, batch).items()}


@cannot_see("everything that the objective does not ask for, such as good samples of a bound's model")
def heldout_loss(subject: Subject) -> Value:
    return Value(heldout(subject)["loss"], floor=heldout_floor(subject))


LOSSES: dict[Objective | None, str] = {
    "nll": "nats",
    "bound": "nats",
    "reverse_kl": "nats",
    "flow_matching": "(units of x)²",
    None: "",  # of any other objective
}
for objective, unit in LOSSES.items():
    measure("heldout_loss", "the objective on held-out data", better="lower", headline=95, unit=unit, objective=objective)(
        heldout_loss
    )


@measure("best_step", "the step whose weights were measured")
def best_step(subject: Subject) -> Value | None:
    return _fact(subject, "best_step")


@suggests(0)
def gentler_steps(case: Case) -> Suggestion | None:
    """A loss that was not finite, or that once rose far above where it began."""
    losses, clipped = case.curve("loss"), case.setting("trainer.clip_norm")
    broken = "not finite" in str(case.run.get("error"))
    wild = len(losses) > 8 and case.by_gradient and max(losses[len(losses) // 4 :]) > losses[0] + 2 * (losses[0] - min(losses))
    if not (broken or wild) or not case.setting("trainer.lr"):
        return None
    words = () if clipped else ("trainer.clip_norm=1",)
    what = "The loss was not finite" if broken else "The training loss rose far above where it began"
    return Suggestion(f"{what}: smaller steps, of bounded length.", (*words, case.times("trainer.lr", 1 / 3)))


@suggests(10)
def more_steps(case: Case) -> Suggestion | None:
    """A held-out loss that was still falling when the training ended, or when its rate was taken down."""
    if not case.falling:
        return None
    when = "until its learning rate was taken down" if case.annealed else "when the training ended"
    return Suggestion(f"The held-out loss was still falling {when}: it goes on.", case.longer(), goes_on=True, more=True)


@suggests(12)
def less_by_heart(case: Case) -> Suggestion | None:
    """A held-out loss that rose again long before the end, while the training loss fell on: examples were learnt by heart.

    It has to rise by more than twice what it falls by from one value to the next on the way: that is chance.
    """
    heldout, best, steps = case.curve("heldout/loss"), case.number("best_step"), case.number("steps")
    if not case.by_gradient or not case.few_examples or len(heldout) < 4 or best is None or steps is None or best > 0.75 * steps:
        return None
    least = heldout.index(min(heldout))
    rise, chance = heldout[-1] - heldout[least], largest_fall(heldout[least:])
    loss = case.curve("loss")
    fell_on = bool(loss) and loss[-1] < loss[round(best / steps * (len(loss) - 1))]
    if rise < 0.02 * (heldout[0] - heldout[least]) or rise <= 2 * chance or not fell_on:
        return None
    rose = f"The held-out loss was least at step {best:,.0f} of {steps:,.0f} and rose again: it learns the examples by heart."
    hidden = next((f"model.{key}" for key in ("dropout", "input_dropout") if case.setting(f"model.{key}") == 0), None)
    if hidden:
        return Suggestion(f"{rose} Hiding a share of the numbers keeps it from that.", (f"{hidden}=0.1",), more=False)
    if case.setting("trainer.weight_decay") == 0:
        return Suggestion(
            f"{rose} Smaller weights keep it from that.", ("trainer.optimizer=adamw", "trainer.weight_decay=0.01"), more=False
        )
    return Suggestion(f"{rose} A shorter training anneals its rate by then.", (f"trainer.max_steps={best:.0f}",), more=False)


@suggests(60)
def annealed_rate(case: Case) -> Suggestion | None:
    """A held-out loss that stands still at a constant rate of learning: what is left of it is partly the noise of the steps."""
    heldout = case.curve("heldout/loss")
    if not case.by_gradient or len(heldout) < 4 or case.falling or case.setting("trainer.schedule") != "constant":
        return None
    said = (
        "The held-out loss stands still at a constant learning rate; a rate that falls to zero takes the noise of the steps out."
    )
    return Suggestion(said, ("trainer.schedule=cosine",))


@suggests(70)
def half_the_bits(case: Case) -> Suggestion | None:
    """A GPU that computes in float32 where it need not."""
    if not str(case.run.get("device")).startswith("cuda") or case.setting("trainer.precision") != "float32":
        return None
    return Suggestion("It was trained in float32 on a GPU: bf16 is often faster there.", ("trainer.precision=auto",))


@measure("parameters", "numbers that were learnt")
@cannot_see("how many of them the data decide")
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
@cannot_see("what a step gains: a faster one may learn less")
def samples_per_second(subject: Subject) -> Value | None:
    return _fact(subject, "samples_per_second")


def count_parameters(subject: Subject) -> int:
    """How many numbers the model has to learn."""
    return sum(weights.numel() for weights in subject.model.parameters())


def _fact(subject: Subject, name: str) -> Value | None:
    return Value(subject.training[name]) if name in subject.training else None
