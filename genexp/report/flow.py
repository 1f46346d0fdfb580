"""Points on their way from noise to data, packed for the page: along a velocity by time, or through layers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from genexp.data.base import DataSpec
from genexp.data.units import Units
from genexp.report.folder import Folder
from genexp.report.packing import packed, quantised
from genexp.seeds import seed_for, seeded

POINTS, FRAMES = 3_000, 41
FINE = 73  # times that are solved for, of which FRAMES are kept, the more of them the nearer to 1


@dataclass(frozen=True)
class Flow:
    """Where `POINTS` points are at each of some moments; `kind` is time or layers."""

    kind: str
    data: dict[str, Any]


def has_flow(model: Any, spec: DataSpec) -> bool:
    """Whether this model moves points of the plane."""
    return "plane" in spec.knows and bool({"velocity", "layers"} & model.can)


@torch.no_grad()
def pack(model: Any, folder: Folder, seed: int, units: Units | None = None) -> Flow:
    """The paths of a model that `has_flow`, and points of its data where the run kept some."""
    device = model.device
    with seeded(seed_for(seed, "animation"), device):
        if "velocity" in model.can:
            kind, times = "time", kept_times()
            path = model.trajectory(torch.randn(POINTS, 2, device=device), FINE)[torch.as_tensor(times, device=device)]
            moments = [round(float(index) / (FINE - 1), 4) for index in times]
        else:
            kind = "layers"
            path = model.layers(model.sample_base(POINTS))
            moments = [float(layer) for layer in range(len(path))]
    paths = path.float().cpu().numpy()
    if not np.isfinite(paths).all():
        raise ValueError("points that are no numbers")
    points, unit = quantised(paths)
    data = {"moments": moments, "count": POINTS, "points": points, "unit": unit, "kind": kind, **target(folder, units)}
    data["limit"] = 1.3 * float(np.quantile(np.abs(paths[-1]), 0.98))
    return Flow(kind, data)


def kept_times() -> np.ndarray:
    """Which of the FINE times are kept: u ↦ 1 − (1−u)^1.6, since the detail forms near t = 1."""
    u = np.linspace(0, 1, FRAMES)
    return np.unique(np.round((FINE - 1) * (1 - (1 - u) ** 1.6)).astype(int))


def target(folder: Folder, units: Units | None) -> dict[str, Any]:
    """Points of the data, where the run kept some."""
    true = folder.arrays("target").get("target")
    if true is None or true.ndim != 2 or true.shape[1] != 2 or not np.isfinite(true).all():
        return {"target": packed(np.empty(0), "i2"), "target_unit": 1.0}
    if units is not None:  # a run keeps the rows of a table in their own
        true = units.seen(torch.from_numpy(true)).numpy()
    points, unit = quantised(true[: 2 * POINTS])
    return {"target": points, "target_unit": unit}
