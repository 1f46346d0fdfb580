"""Observables of fields on a periodic square lattice, x (n, side²), row by row."""

import math

import torch
from torch import Tensor


def magnetisation(x: Tensor) -> Tensor:
    """The mean over all sites of each field, (n,)."""
    return x.mean(1)


def correlator(x: Tensor) -> Tensor:
    """Of each field an estimate of C(t) = Σ_x G(x, t), t = 0 … side − 1, (n, side): G(y) = ⟨φ_x φ_(x+y)⟩, whose part of momentum
    zero across t this is. It is the mean over both directions of 1/side² Σ_τ s(τ) s(τ + t), with s(τ) the sum over a row.

    It falls as cosh(E (t − side/2)) with E the mass gap, and Σ_t C(t) = side² ⟨m²⟩ is the susceptibility.
    """
    side = math.isqrt(x.shape[1])
    field = x.unflatten(1, (side, side))
    rows = torch.stack([field.sum(1), field.sum(2)])
    power = torch.fft.rfft(rows).abs().square()
    return torch.fft.irfft(power, n=side).mean(0) / side**2
