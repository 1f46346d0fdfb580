"""How well samples match a uniform density over cells."""

import torch
from torch import Tensor

from genexp.data.cells import UniformCells
from genexp.measures.record import Value, cannot_see, measure
from genexp.subject import Subject


def share_outside(samples: Tensor, density: UniformCells) -> float:
    """Share of the samples, shape (n, 2), that lie outside the black cells. 0 for true samples."""
    return 1 - float(density.contains(samples).double().mean())


def variation(samples: Tensor, density: UniformCells) -> float:
    """Total variation ½ Σ|p̂ − p| between the samples' histogram over cells (and the rest of the plane) and the truth.

    Not 0 for true samples but about Σ √(p / 2πn): compare with the same number of those.
    """
    row, column, on_grid = density.cells_of(samples)
    rows, columns = density.mask.shape
    cell = torch.where(on_grid, row * columns + column, rows * columns)
    observed = torch.bincount(cell, minlength=rows * columns + 1).double() / len(samples)
    truth = torch.cat([density.mask.double().flatten() / density.mask.sum(), observed.new_zeros(1)])
    return float((observed - truth).abs().sum() / 2)


@measure("leak", "share of samples outside black modules", better="lower", headline=10, data={"cells"}, constraint="resemblance")
@cannot_see("which modules are empty, and how samples are spread within one")
def leak(subject: Subject) -> Value:
    return Value(share_outside(subject.samples, subject.density), floor=0.0)


@measure("module_tv", "total variation between histograms over modules", better="lower", data={"cells"}, constraint="coverage")
@cannot_see("detail within a module")
def module_tv(subject: Subject) -> Value:
    """Beside what as many true samples get."""
    true = variation(subject.target, subject.density)
    return Value(variation(subject.samples, subject.density), floor=true)
