"""Pictures of the modes of a density."""

from matplotlib.figure import Figure

from genexp.figures.modes import shares
from genexp.measures.record import picture
from genexp.measures.targets import FOUND
from genexp.subject import Subject


@picture("modes", "The share of the samples in each mode, beside its exact mass", data={"modes"})
def modes(subject: Subject) -> Figure:
    masses, found = subject.density.mode_masses, subject.density.mode_shares(subject.samples)
    return shares(found.numpy(), masses.numpy(), (found < FOUND * masses).numpy())
