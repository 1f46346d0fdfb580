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
    """Beside what as many other points of the data get; of a finite set those of the validation part, and of all alike many."""
    more = subject.data.heldout(len(subject.target), seed_for(subject.settings.seed, "floor")).x.cpu()
    count = min(len(subject.target), len(more), len(subject.samples))
    target = subject.target[:count]
    return Value(distance(subject.samples[:count], target), floor=distance(more[:count], target))
