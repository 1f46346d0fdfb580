"""Subjects under examination that tests make up, and their numbers as metrics.json has them."""

from collections.abc import Mapping

from genexp.measures.record import Measure, Metric, Value, measures
from genexp.subject import Subject


def taken(subject: Subject, *names: str) -> dict[str, Metric]:
    """The numbers of these measures whose needs the subject meets, and what is known beside them; a failure is raised."""
    found: dict[str, Metric] = {}
    for each in measures.met_by(subject):
        if each.name in names and (values := each.function(subject)) is not None:
            found |= flat(each.name, values)
    return found


def flat(name: str, values: Value | Mapping[str, Value]) -> dict[str, Metric]:
    """What one measure gave."""
    several = {"": values} if isinstance(values, Value) else values
    return {
        key: metric
        for ending, value in several.items()
        for key, metric in value.metrics(f"{name}/{ending}" if ending else name).items()
    }


def record(name: str) -> Measure:
    """The first measure of a name."""
    return next(each for each in measures.all() if each.name == name)


def timeless(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Of a metrics.json what the same run gives again, bit for bit: all but what was read off a clock."""
    timed = tuple(f"{each.name}/" for each in measures.all() if each.wall_clock)
    return {name: value for name, value in metrics.items() if not f"{name}/".startswith(timed)}
