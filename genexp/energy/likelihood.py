"""`model/objective=likelihood`: maximum likelihood, by the best way that there is in so many dimensions."""

from torch import Tensor

from genexp.capabilities import Objective
from genexp.data.base import Terms
from genexp.energy.base import Energy, EnergyObjective, energy_objectives
from genexp.energy.partition import MOST


@energy_objectives.register("likelihood")
class Likelihood(EnergyObjective):
    r"""−E_data[ln p(u)] = E_data[E(u)] + ln Z. On a line and in the plane ln Z is a sum over a grid, as `quadrature` says; in
    more dimensions its gradient is found by chains, as `persistent` says. Both are as they are by default: for other settings of
    theirs, choose one of them.

    In short:
        Maximum likelihood, with ln Z over a grid in one and two dimensions, and by chains beyond.

    Equation:
        \mathcal{L} = \mathbb{E}_{\mathrm{data}}[E_θ(u)] + \ln Z_θ, \qquad \nabla_θ \ln Z_θ = -\mathbb{E}_{p_θ}[\nabla_θ E_θ]
    """

    kind: Objective = "nll"

    def prepare(self, energy: Energy) -> None:
        self.way = energy_objectives.build({"name": "quadrature" if energy.dim <= MOST else "persistent"})
        self.way.prepare(energy)

    def initialise(self, energy: Energy, u: Tensor) -> None:
        self.way.initialise(energy, u)

    def loss(self, energy: Energy, u: Tensor) -> Terms:
        return self.way.loss(energy, u)
