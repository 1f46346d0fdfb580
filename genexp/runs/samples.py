"""`genexp sample`: what is asked for, and the file that comes of it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from genexp.data.text import joined
from genexp.errors import UserError
from genexp.files import Replacing, write_gif
from genexp.paths import check_new
from genexp.runs.given import going_on_from
from genexp.runs.sampling import NpzWriter, class_index, log_likelihood, moving, sampler_of
from genexp.runs.tempered import at_temperature
from genexp.runs.trained import Trained, Which, open_run
from genexp.sampling import Drawn

SHEET = 100  # pictures in a picture of pictures
PASSAGES = 10  # in a text
LARGEST_PICTURE = 10_000  # pictures, or millions of points, that one picture is made of


@dataclass(frozen=True)
class Request:
    """`num` samples (None: as many as suits the file) from `seed` into the new file `out`, all of one class or of any."""

    num: int | None
    seed: int
    out: Path
    label: str | None = None
    log_prob: bool = False
    given: str | None = None
    temperature: float | None = None


def write(path: Path, request: Request, which: Which, device: str | None) -> str:
    """Draw what is asked for from the run in `path`; returns what to say of it."""
    write_file = WRITERS.get(request.out.suffix.lower())
    if write_file is None:
        raise UserError(f"--out {request.out}: a file of which kind?", hint="it ends in .npz, .png, .gif or .txt")
    if request.num is not None and request.num < 1:
        raise UserError(f"--num {request.num}: at least 1")
    if not 0 <= request.seed < 2**32:
        raise UserError(f"--seed {request.seed}: from 0 to {2**32 - 1}")
    check_new(request.out)
    if request.log_prob and write_file is not write_npz:
        raise UserError("--log-prob goes into an .npz file", hint=f"--out {request.out.with_suffix('.npz')}")
    trained = open_run(path, which, device)
    label = None if request.label is None else class_index(trained, request.label)
    if request.given is not None:
        if write_file is write_gif_file:
            raise UserError("--given has no film", hint="--out samples.png, .npz or .txt")
        trained = going_on_from(trained, request.given)
    if request.temperature is not None:
        if write_file is write_gif_file:
            raise UserError("--temperature has no film", hint="--out samples.png or .npz")
        trained = at_temperature(trained, request.temperature)
    what = write_file(trained, request, label)
    name = f"{trained.settings.experiment}, {which} checkpoint of step {trained.step}"
    return f"{what} from {path} ({name}), seed {request.seed} → {request.out}"


def write_npz(trained: Trained, request: Request, label: int | None) -> str:
    """`samples` and, where there are any, `label` and `log_prob`, one row each; of a table, in its own units."""
    num = request.num or trained.settings.evaluation.num_samples
    parts = sampler_of(trained, label).stream(num, request.seed)
    log_scale, kind = (0.0, "float32") if trained.units is None else (trained.units.log_scale, "float64")
    others: dict[str, list[np.ndarray]] = {}
    first = next(parts)

    def samples() -> Iterator[np.ndarray]:
        bar = tqdm(total=num, unit=" samples", leave=False, disable=not sys.stderr.isatty())
        for part in chain([first], parts):
            bar.update(len(part.x))
            log_prob = log_likelihood(trained, part.x) - log_scale if request.log_prob else None
            for name, values in (("label", part.label), ("log_prob", log_prob)):
                if values is not None:
                    others.setdefault(name, []).append(values.numpy())
            yield (part.x if trained.units is None else trained.units.own(part.x)).numpy()

    with Replacing(request.out) as (temporary, _), NpzWriter(temporary) as file:
        file.write("samples", samples(), (num, *first.x.shape[1:]), kind)
        for name, values in others.items():
            file.write(name, iter(values), (num,), "float32" if name == "log_prob" else "int64")
    mean = f", mean ln p {np.concatenate(others['log_prob']).mean():.4f} nats" if "log_prob" in others else ""
    return f"{num:,} samples{mean}"


def write_png(trained: Trained, request: Request, label: int | None) -> str:
    """Points as dots; pictures side by side."""
    from genexp.figures import coordinates, images, points  # not before: numbers need nothing that draws

    pictures = len(trained.spec.shape) == 3
    num = request.num or (SHEET if pictures else trained.settings.evaluation.num_samples)
    if num > LARGEST_PICTURE * (1 if pictures else 1000):
        raise UserError(f"--num {num}: too many for one picture", hint=f"--out {request.out.with_suffix('.npz')}")
    x = _join(sampler_of(trained, label).stream(num, request.seed))
    if pictures:
        image = images.sheet(x, int(np.ceil(np.sqrt(num))), pixels=1200)
    else:
        check_plane(trained)
        image = points.flow_frames(x[None], 960, limit=coordinates.reach(x))[0].convert("L")
    with Replacing(request.out) as (temporary, _):
        image.save(temporary, "PNG")
    return f"{num:,} samples"


def write_gif_file(trained: Trained, request: Request, label: int | None) -> str:
    """A film of the sampling."""
    from genexp.figures import coordinates, images, points

    figures = trained.settings.figures
    num = request.num or figures.gif_points
    pictures = len(trained.spec.shape) == 3
    if pictures:
        frames = images.film(moving(trained, 1, 12 * figures.gif_fps, request.seed, label), size=2 * figures.gif_size)
    else:
        check_plane(trained)
        way = moving(trained, num, figures.gif_frames, request.seed, label)
        frames = points.flow_frames(way, figures.gif_size, limit=coordinates.reach(way[-1]))
    with Replacing(request.out) as (temporary, _):
        write_gif(temporary, frames, figures.gif_fps, hold_last=1 / figures.gif_fps if pictures else 1.5)
    return f"a film of {len(frames)} frames" + ("" if pictures else f" and {num:,} points")


def write_text(trained: Trained, request: Request, label: int | None) -> str:
    """Passages of a text, a line of dashes between two."""
    if not trained.spec.alphabet:
        raise UserError("these samples are no text", hint="--out samples.npz")
    num = request.num or min(PASSAGES, trained.settings.evaluation.num_samples)
    x = torch.cat([part.x for part in sampler_of(trained, label).stream(num, request.seed)])
    with Replacing(request.out) as (temporary, _):
        temporary.write_text(joined(trained.spec, x), encoding="utf-8")
    return f"{num:,} passages"


WRITERS = {".npz": write_npz, ".png": write_png, ".gif": write_gif_file, ".txt": write_text}


def check_plane(trained: Trained) -> None:
    if trained.spec.shape != (2,):
        kind = ".txt" if trained.spec.alphabet else ".npz"
        raise UserError("only pictures and points of the plane can be drawn", hint=f"--out samples{kind}")


def _join(parts: Iterator[Drawn]) -> np.ndarray:
    return np.concatenate([part.x.numpy() for part in parts])
