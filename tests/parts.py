"""Models and parts for tests, in few words."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genexp.data.base import DataSpec
from genexp.data.cells import UniformCells
from genexp.latent.base import Given, Latent
from genexp.latent.posteriors import GaussianPosterior
from genexp.registry import models
from genexp.velocity.base import fields


def make(name: str, spec: DataSpec, **keys: Any) -> Any:
    """A model; its parts by name, or with settings as a mapping."""
    parts = models.parts(name)
    chosen = {key: {"name": value} if key in parts and isinstance(value, str) else value for key, value in keys.items()}
    return models.build({"name": name, **chosen}, spec)


def mlp(*widths: int, **keys: Any) -> dict[str, Any]:
    """A network of such hidden layers, in the encoder and in the decoder."""
    return {"name": "mlp", "encoder_widths": widths, "decoder_widths": widths, **keys}


def vae(spec: DataSpec, **keys: Any) -> Any:
    """A small VAE."""
    return make("vae", spec, **{"network": mlp(8), **keys})


def arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Those of an NPZ, which is closed again."""
    with np.load(path) as archive:
        return dict(archive)


def corners(cells: UniformCells) -> Tensor:
    """The lower left corner of every black cell, (n, 2)."""
    row, column = cells.mask.nonzero().unbind(1)
    return torch.stack([cells.left + column * cells.cell, cells.top - (row + 1) * cells.cell], 1)


def flow_matching(spec: DataSpec, field: str = "noise_aware", *, network: dict[str, Any] | None = None, **parts: Any) -> Any:
    """A small flow-matching model; `network` are settings of its field."""
    small = {"width": 8, "depth": 2, "num_frequencies": 4, "time_width": 8} | (network or {})
    known = fields.schema(field).model_fields
    return make("flow_matching", spec, field={"name": field, **{k: small[k] for k in small if k in known}}, **parts)


def latent(size: int, shape: tuple[int, ...] = (1,), classes: int = 0) -> Latent:
    """A latent space with Gaussian posteriors."""
    return Latent(size, shape, classes, GaussianPosterior(1, size))


def given(pseudo: Tensor | None = None, label: Tensor | None = None) -> Given:
    """What a prior may depend on, where pseudo-inputs have these posteriors."""

    def infer(x: Tensor) -> Tensor:
        assert pseudo is not None
        return pseudo

    return Given(infer, GaussianPosterior(1, 1), label)
