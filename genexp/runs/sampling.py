"""New examples from a trained run, a part at a time."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genexp.errors import UserError, unknown
from genexp.latent.paths import spherical
from genexp.machine.device import all_digits
from genexp.runs.trained import Trained
from genexp.sampling import Sampler
from genexp.seeds import seed_for, seeded

STOPS = 12  # latent points that a walk through latent space visits
AT_ONCE = 64  # pictures of a film that a flow finds at once


def sampler_of(trained: Trained, label: int | None = None) -> Sampler:
    """What a run's own samples came from; all of one class, where a `label` is given."""
    return Sampler.of(trained.model, trained.spec, trained.settings, trained.device, label)


def class_index(trained: Trained, name: str) -> int:
    """Which class `name` is. UserError where the model does not know it, or none."""
    if "classes" not in trained.model.can:
        raise UserError(f"class {name}: this run's model is not conditional", hint="model.conditional=true trains one")
    if name not in trained.spec.classes:
        raise unknown("class", name, trained.spec.classes)
    return trained.spec.classes.index(name)


def log_likelihood(trained: Trained, x: Tensor) -> Tensor:
    """ln p(x) in nats, (n,), on the CPU. UserError where the model has no exact likelihood."""
    if "exact" not in trained.model.can:
        name = trained.settings.model["name"]
        raise UserError(f"model={name} has no exact likelihood of a sample", hint="genexp evaluate gives its bounds")
    with all_digits(trained.device):
        return trained.model.log_prob(x.to(trained.device)).detach().float().cpu()  # type: ignore[operator]


def moving(trained: Trained, num: int, frames: int, seed: int, label: int | None = None) -> np.ndarray:
    """A sampling as a film: points on their way from noise to data (frames, num, 2), or, of models with a latent space,
    pictures along a closed walk through it (frames, 1, *shape). UserError where the model has neither.
    """
    model: Any = trained.model
    device, labels = trained.device, sampler_of(trained, label or 0).labels
    with seeded(seed_for(seed, "film"), device), torch.no_grad():
        if trained.spec.shape == (2,) and "velocity" in model.can:
            return model.trajectory(torch.randn(num, 2, device=device), frames).float().cpu().numpy()
        if trained.spec.shape == (2,) and "layers" in model.can:
            return _between_layers(model.layers(model.sample_base(num)).float().cpu(), frames).numpy()
        if "latents" in model.can and len(trained.spec.shape) == 3:
            z = closed_walk(_latent_points(trained, STOPS, labels(STOPS)), frames)
            return model.decode(z, labels(len(z))).float().cpu().numpy()[:, None]
        if "reversible" in model.can:
            z = closed_walk(model.sample_base(STOPS), frames)
            return torch.cat([model.pictures(few) for few in z.split(AT_ONCE)]).float().cpu().numpy()[:, None]
    raise UserError(f"model={trained.settings.model['name']}: its sampling has no film", hint="--out samples.npz, or .png")


def closed_walk(stops: Tensor, frames: int) -> Tensor:
    """Latent points (frames, latent) along arcs from each of the stops (n, latent) to the next, and back to the first."""
    each = -(-frames // len(stops))
    legs = [spherical(start, end, each + 1)[:-1] for start, end in zip(stops, stops.roll(-1, 0), strict=True)]
    return torch.cat(legs)[:frames]


def _between_layers(layers: Tensor, frames: int) -> Tensor:
    """Where points are as they move from layer to layer (layers, n, 2) along straight lines: (frames, n, 2)."""
    position = torch.linspace(0, len(layers) - 1, frames)
    layer = position.long().clamp(max=len(layers) - 2)
    return torch.lerp(layers[layer], layers[layer + 1], (position - layer)[:, None, None])


def _latent_points(trained: Trained, n: int, label: Tensor | None) -> Tensor:
    if "prior" in trained.model.can:
        return trained.model.sample_latent(n, label=label)  # type: ignore[no-any-return, operator]
    return torch.randn(n, trained.model.latent, device=trained.device)  # type: ignore[call-overload, no-any-return]


class NpzWriter:
    """An .npz file whose arrays are written a part at a time, so that it may be larger than memory.

    Arrays of known full shape go in one after the other: `writer.write(name, parts, shape, dtype)`.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)

    def __enter__(self) -> "NpzWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def write(self, name: str, parts: Iterator[np.ndarray], shape: tuple[int, ...], dtype: str) -> None:
        """The array `name` from parts along its first axis."""
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                file.write(np.ascontiguousarray(part, dtype).tobytes())
