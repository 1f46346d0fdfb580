"""What the settings ask of pictures, checked before anything is trained. Nothing here draws, nor imports what does."""

from genexp.errors import UserError, unknown
from genexp.measures.record import films
from genexp.subject import Subject

LEARNING = "learning"  # the film of how a model comes about


def check_endpoints(subject: Subject) -> None:
    """UserError, before anything is trained, where the pictures that are asked for are not there."""
    figures, classes = subject.settings.figures, subject.data.spec.classes
    if not {"examples", "pictures"} <= subject.knows:
        return
    test = subject.test_part
    if figures.pair is not None and max(figures.pair) >= len(test):
        raise UserError(f"figures.pair={list(figures.pair)}: there are {len(test):,} test pictures, counted from 0")
    for name in figures.between or ():
        if name not in classes:
            raise unknown("class", name, classes)
        if test.label is None or classes.index(name) not in test.label:
            raise UserError(f"figures.between: no test picture is one of {name}")


def check_learning(subject: Subject) -> None:
    """UserError where such a film is asked for, and there is none of this model and these data."""
    if subject.settings.figures.learning and not any(each.name == LEARNING for each in films.met_by(subject)):
        raise UserError(
            "figures.learning=true: there is no film of how this model learns these data",
            hint="of exact densities of numbers or in the plane, and of Gaussian mixtures, there is",
        )
