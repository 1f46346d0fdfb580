"""How near samples are to the data, as clouds of points."""

from genexp.measures.record import Value, measure
from genexp.metrics.points import sliced_wasserstein as distance
from genexp.seeds import seed_for
from genexp.subject import Subject


@measure(
    "sliced_wasserstein",
    "distance between samples and data, in their units",
    better="lower",
    headline=90,
    data={"points", "drawn"},
)
def sliced_wasserstein(subject: Subject) -> Value:
    """Beside what as many fresh points of the data get."""
    target = subject.target
    more = subject.data.heldout(len(target), seed_for(subject.settings.seed, "floor")).x.cpu()
    return Value(distance(subject.samples, target), floor=distance(more, target))
