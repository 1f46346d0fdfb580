"""Pictures of lattice fields."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import lattice as figures
from genexp.measures.lattice import estimate, proposed, proposed_magnetisation, reference, time_of
from genexp.measures.record import picture
from genexp.samplers.diagnostics import autocorrelation_time
from genexp.subject import Subject

MODEL, DATA = {"sample", "exact"}, {"lattice"}
ROWS, COLUMNS = 4, 4
SHOWN = 500  # transitions of a chain
DECAY = 3  # where C(t) begins among the observables


@picture("fields", "Fields of the model, and of a long Hamiltonian Monte Carlo", lead=0, model=MODEL, data=DATA)
def fields(subject: Subject) -> Figure:
    side, few = subject.data.side, ROWS * COLUMNS

    def drawn(x: Tensor) -> np.ndarray:
        return x[:few].reshape(-1, side, side).numpy()

    return figures.sheets({"the model's samples": drawn(subject.samples), "HMC": drawn(reference(subject).fields)}, ROWS, COLUMNS)


@picture(
    "chain_history", "The magnetisation along a chain of HMC, and along one of the model's proposals", model=MODEL, data=DATA
)
def chain_history(subject: Subject) -> Figure:
    """Each with its autocorrelation times, in transitions."""
    ours, theirs = proposed_magnetisation(subject), reference(subject).magnetisation.double()
    named = {
        f"HMC, {reference(subject).acceptance:.0%} accepted; {_times(theirs)}": theirs,
        f"the model's samples proposed, {proposed(subject).acceptance:.0%} accepted; {_times(ours)}": ours,
    }
    ways = {name: m[:SHOWN, 0].numpy() for name, m in named.items()}
    return figures.histories(ways, {name: m.flatten().numpy() for name, m in named.items()})


def _times(m: Tensor) -> str:
    return f"autocorrelation time {time_of(m):.1f} of |m|, {autocorrelation_time(m.mT):.1f} of m"


@picture(
    "two_point", "The two-point function, by weighted samples and by Hamiltonian Monte Carlo", lead=1, model=MODEL, data=DATA
)
def two_point(subject: Subject) -> Figure:
    found = {"the model's samples, weighted": estimate(subject), "HMC": reference(subject).estimate}
    measured = {name: figures.Measured(each.mean[DECAY:].numpy(), each.error[DECAY:].numpy()) for name, each in found.items()}
    size = subject.data.side // 2 + 1
    return figures.two_point(measured, subject.data.free_correlator()[:size].numpy() if subject.data.free else None)
