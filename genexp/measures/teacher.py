"""A student beside its teacher: how far apart they are, how far each is from what the teacher had learnt, what each costs."""

from dataclasses import replace

import torch
from torch import Tensor

from genexp.machine.device import all_digits
from genexp.measures import cost
from genexp.measures.likelihood import PART, standard_error
from genexp.measures.record import Value, Values, cannot_see, measure
from genexp.seeds import seed_for
from genexp.subject import Subject, once

COMPARED = 8_192  # points, at most
MODEL, DATA = {"exact"}, {"teacher"}


@torch.no_grad()
def log_prob(model: object, x: Tensor, device: torch.device) -> Tensor:
    """ln p(x) of points (n, dim), in nats, float64 on the CPU, (n,)."""
    with all_digits(device):
        return torch.cat([model.log_prob(part.to(device)).double().cpu() for part in x.split(PART)])  # type: ignore[attr-defined]


@measure("kl", "KL(teacher ‖ student) over samples of the teacher, nats", better="lower", headline=30, model=MODEL, data=DATA)
@once
@cannot_see("what the teacher itself has wrong")
def kl(subject: Subject) -> Value:
    teacher = subject.data.density
    count = min(COMPARED, subject.settings.evaluation.num_points)
    x = teacher.sample(count, torch.Generator(teacher.device).manual_seed(seed_for(subject.settings.seed, "teacher")))
    ratio = log_prob(teacher, x, subject.device) - log_prob(subject.model, x, subject.device)
    return Value(float(ratio.mean()), floor=0.0, error=standard_error(ratio))


# --- what the teacher had learnt ---------------------------------------------------------------------------------------


@once
def of_truth(subject: Subject) -> tuple[Subject, Tensor, Tensor, Tensor] | None:
    """The teacher on its own data; points of these that it was not trained on, (n, dim), and what the student and the teacher
    have for ln p there, (n,) each. None where its data are a density without examples.
    """
    told = subject.data.teacher.subject()
    if "drawn" not in told.knows:
        return None
    told.settings = subject.settings  # as many points, and the same seed
    x = told.test.x[:COMPARED]
    return told, x, *(log_prob(model, x, subject.device) for model in (subject.model, told.model))


@measure(
    "truth_nll",
    "−E ln p(x) on held-out data of the teacher, nats; the baseline is the teacher's",
    better="lower",
    headline=36,
    model=MODEL,
    data=DATA,
)
def truth_nll(subject: Subject) -> Value | None:
    if (found := of_truth(subject)) is None:
        return None
    told, _, student, teacher = found
    nll, baseline = (told.log_scale - float(each.mean()) for each in (student, teacher))
    return Value(nll, baseline=baseline, error=standard_error(student))


@measure(
    "truth_kl",
    "KL(data ‖ student) over data of the teacher, nats; the baseline is KL(data ‖ teacher)",
    better="lower",
    headline=35,
    model=MODEL,
    data=DATA,
)
@cannot_see("where student and data differ")
def truth_kl(subject: Subject) -> Value | None:
    """Of data whose density is known."""
    if (found := of_truth(subject)) is None or "density" not in found[0].knows:
        return None
    told, x, student, teacher = found
    truth = log_prob(told.density, x.cpu().double(), torch.device("cpu"))
    ratio = truth - student
    return Value(float(ratio.mean()), floor=0.0, baseline=float((truth - teacher).mean()), error=standard_error(ratio))


# --- what it costs -----------------------------------------------------------------------------------------------------


@measure(
    "teacher_seconds",
    "what the teacher takes for a thousand densities, samples, and samples found feature after feature, seconds",
    data=DATA,
    wall_clock=True,
)
@once
def teacher_seconds(subject: Subject) -> Values:
    """On the same points, in batches as large, as `seconds_density` and `seconds_sample` of the student."""
    teacher = replace(subject, model=subject.data.density.model, found={})
    found = {"density": cost.seconds_density(teacher), "sample": cost.seconds_sample(teacher)}
    if "in_turn" in teacher.can:
        found["sample_in_turn"] = cost.seconds_sample(replace(teacher, model=teacher.model.in_turn(), found={}))
    return found
