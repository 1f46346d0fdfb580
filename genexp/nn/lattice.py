"""Networks of fields on a periodic square lattice, which are given row by row, (n, side²), and whose symmetries they keep."""

import torch
from torch import Tensor, nn

from genexp.nn.motion import ClosedField, Motion, TimeWaves


def displacements(side: int) -> Tensor:
    """Which displacements y − x are the same up to reflections and quarter turns of the lattice: a class of each pair of sites,
    (side², side²), numbered from 0 for y = x.
    """
    sites = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    apart = (sites[:, None] - sites).abs()
    apart = torch.minimum(apart, side - apart).sort(-1).values  # the shorter way round; which direction is which does not matter
    return torch.unique(apart[..., 0] * side + apart[..., 1], return_inverse=True)[1]


class LatticeField(ClosedField):
    """v_x(φ, t) = Σ_y [ w_0(x−y, t) φ_y + Σ_f w_f(x−y, t) sin(ω_f φ_y) ],   w_f(d, t) = Σ_k W_fdk cos(πkt).

    w depends on how far apart two sites are, up to reflections and quarter turns; and it is odd in φ. So the flow along v is
    equivariant: symmetries of the lattice and φ → −φ may as well come before it as after it. Every site is seen from every other.

    div v = side² w_0(0, t) + Σ_x Σ_f w_f(0, t) ω_f cos(ω_f φ_x) has a closed form. It begins as v = −φ, which narrows N(0, I) to
    standard deviations of 1/e.

    Source: Gerdes et al., Learning Lattice Quantum Field Theories with Equivariant Continuous Flows (2023),
    https://doi.org/10.21468/SciPostPhys.15.6.238

    Args:
        side: of the lattice.
        frequencies: how many ω there are; they are learnt, and begin evenly spaced up to `highest`.
        time_width: number of cosines of time.
    """

    classes: Tensor

    def __init__(self, side: int, frequencies: int, time_width: int, highest: float = 4.0) -> None:
        super().__init__()
        classes = displacements(side)
        self.register_buffer("classes", classes, persistent=False)
        self.omega = nn.Parameter(highest * torch.arange(1, frequencies + 1) / frequencies)
        self.waves = TimeWaves(time_width)
        self.weight = nn.Parameter(torch.zeros(time_width, (1 + frequencies) * (int(classes.max()) + 1)))
        with torch.no_grad():
            self.weight[0, 0] = -1.0

    def forward(self, x: Tensor, t: Tensor, squares: bool = False) -> Motion:
        sites, features = x.shape[1], 1 + len(self.omega)
        w = (self.waves(t) @ self.weight).view(features, -1)  # (features, classes)
        phase = x[:, None] * self.omega[:, None]
        seen = torch.cat([x[:, None], phase.sin()], dim=1)  # (n, features, sites)
        matrix = w[:, self.classes]  # (features, sites, sites), symmetric
        slope = torch.cat([torch.ones_like(x[:, None]), self.omega[:, None] * phase.cos()], dim=1)
        squared = None
        if squares:
            jacobian = torch.einsum("fxy,nfy->nxy", matrix, slope)
            squared = jacobian.square().sum((1, 2))
        velocity = seen.flatten(1) @ matrix.transpose(1, 2).reshape(features * sites, sites)
        return Motion(velocity, slope.sum(2) @ w[:, 0], squared)
