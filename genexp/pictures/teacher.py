"""A student beside its teacher."""

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from genexp.figures import coordinates, teacher
from genexp.figures.teacher import Cost
from genexp.measures.cost import seconds_density, seconds_sample
from genexp.measures.quadrature import in_float64
from genexp.measures.record import picture
from genexp.measures.teacher import kl, teacher_seconds
from genexp.pictures.densities import on_grid
from genexp.pictures.points import window_of
from genexp.seeds import seed_for
from genexp.subject import Subject

SHOWN = 4_000  # samples of each


@picture("teacher", "The teacher, its student, and what each of them costs", lead=-1, model={"exact", "sample"}, data={"teacher"})
def beside(subject: Subject) -> Figure | None:
    """Their densities in the plane; else their samples, by the first two coordinates."""
    if len(subject.data.spec.shape) != 1 or subject.data.spec.shape[0] < 2:
        return None
    learnt, apart = subject.data.density, f"KL(teacher ‖ student) = {kl(subject).value:.3f} nats"
    if "box" in subject.knows:
        window = window_of(subject)
        learnt_by = [on_grid(subject, each) for each in (learnt, in_float64(subject.model))]
        return teacher.densities(learnt_by[0], learnt_by[1], window, costs(subject), apart)
    generator = torch.Generator(learnt.device).manual_seed(seed_for(subject.settings.seed, "figures/teacher"))
    left, right = (x[:SHOWN, :2].cpu().numpy() for x in (learnt.sample(SHOWN, generator), subject.samples))
    return teacher.samples(left, right, coordinates.window_of(left), costs(subject), apart)


def costs(subject: Subject) -> list[Cost]:
    """Seconds for a thousand, of the teacher and of the student."""
    theirs = teacher_seconds(subject)
    assert isinstance(theirs, Mapping)
    found = [
        ("density", "teacher", theirs["density"]),
        ("density", "student", seconds_density(subject)),
        ("sample, one feature at a time", "teacher", theirs.get("sample_in_turn")),
        ("sample", "teacher", theirs["sample"]),
        ("sample", "student", seconds_sample(subject)),
    ]
    return [Cost(what, who, float(value.value)) for what, who, value in found if value is not None and value.value is not None]
