"""Successive numbers of a source as points of the cube, packed for the page: under the mouse it turns until planes appear."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from genexp.data.base import DataSpec
from genexp.figures.randomness import edge_on, turned
from genexp.report.packing import packed
from genexp.samplers.lattice import planes
from genexp.seeds import seed_for, seeded

POINTS = 3_000
SIDE = 65_535  # of a coordinate from 0 to 1, as a whole number


@dataclass(frozen=True)
class Cube:
    """`POINTS` points; how many planes all of them lie on, where that is known."""

    planes: int | None
    data: dict[str, Any]


def has_cube(model: Any, spec: DataSpec) -> bool:
    """Whether this model gives points of three numbers, one after the other, of a source of random bits."""
    return "bits" in model.can and "stages" not in model.can and spec.shape == (3,)


@torch.no_grad()
def pack(model: Any, seed: int) -> Cube:
    """The points of a model that `has_cube`; a view from anywhere, and one along the planes that are widest apart."""
    with seeded(seed_for(seed, "animation"), model.device):
        points = model.sample(POINTS).double().cpu().numpy()
    dual = model.source.dual_vector(3) if model.source.modulus else None
    along = edge_on(np.array(dual or (1, 0, 0), dtype=float))
    views = {"from": turned(along, 0.9, 0.4), "along": along}
    data = {name: [[round(float(each), 6) for each in row] for row in view] for name, view in views.items()}
    whole = np.clip(np.round(points * SIDE), 0, SIDE)
    return Cube(None if dual is None else planes(dual), {"points": packed(whole, "u2"), "count": POINTS, "side": SIDE, **data})
