"""A continuous bijection of fields on a periodic square lattice, which keeps its symmetries."""

from typing import Annotated

from pydantic import Field

from genexp.bijections.base import bijections
from genexp.bijections.checkerboard import side_of
from genexp.bijections.continuous import Ode, OdeSolver, Steps, TimeWidth
from genexp.nn.lattice import LatticeField

ERROR = 2e-3  # its sines bend more sharply than the units of a network: as many steps of the solver leave more


@bijections.register("lattice_continuous")
def lattice_continuous(
    dim: int,
    layer: int,
    *,
    frequencies: Annotated[int, Field(ge=1, le=1024)] = 5,
    time_width: TimeWidth = 3,
    solver: OdeSolver = "rk4",
    steps: Steps = 10,
) -> Ode:
    """An ODE that is equivariant: shifts, reflections and quarter turns of the lattice, and φ → −φ, may as well come before it as
    after it; so the density that it makes of N(0, I) is as symmetric as the action is. Its divergence has a closed form.

    Source: Gerdes et al., Learning Lattice Quantum Field Theories with Equivariant Continuous Flows (2023),
    https://doi.org/10.21468/SciPostPhys.15.6.238

    Args:
        frequencies: of the sines of the field that a site's velocity is a sum of.
        time_width: number of cosines of time by which their weights change.
        solver: `rk4` in equal steps, or `dopri5`, which chooses them.
        steps: of rk4, in training.

    Raises:
        UserError: data that are no square lattice.
    """
    return Ode(dim, LatticeField(side_of(dim, "lattice_continuous"), frequencies, time_width), solver, steps, ERROR)
