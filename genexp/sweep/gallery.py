"""Pictures over the models and data sets of a sweep, drawn when it has come to its end: gallery.png and its companions."""

import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from genexp.compare.selection import as_text
from genexp.figures.gallery import Cell, Column, costs, gallery
from genexp.figures.latent import Plane, side_by_side
from genexp.figures.sweep import Line, loss_against_seconds
from genexp.files import Replacing
from genexp.folder.records import Record
from genexp.folder.run_folder import RunFolder
from genexp.folder.samples import kept_arrays
from genexp.sweep.plan import Plan
from genexp.sweep.table import chosen_metric, records, short

GALLERY, COSTS, HISTORIES, LATENTS = "gallery.png", "costs.png", "histories.png", "latents.png"
JUDGED_BY = "kl"
MOST = 32  # rows, and columns
PLANES = 8  # beside one another
LATENT = ("latent_drawn", "latent_label")
ARRAYS = ("density", "density_true", "density_ends")  # as `genexp.runs.results` keeps them


def write_gallery(plan: Plan) -> None:
    """What there is to see of the jobs as they are now; nothing where no job has what they show."""
    found, swept = records(plan), plan.swept
    pictures = {
        GALLERY: draw_gallery(found, swept, plan.settings.metric),
        COSTS: draw_costs(found, swept),
        HISTORIES: draw_histories(found, swept),
        LATENTS: draw_latents(found, swept),
    }
    for name, picture in pictures.items():
        if picture is not None:
            with Replacing(plan.root / name) as (temporary, _):
                picture.savefig(temporary, format="png", dpi=120)


def draw_gallery(found: Sequence[Record | None], swept: Mapping[str, Sequence[Any]], wanted: str | None) -> Any:
    """A row for each model, a column for each data set; in a cell the density of the first seed, and the mean over all seeds."""
    densities = {number: arrays for number, record in enumerate(found) if record and (arrays := _arrays(record)) is not None}
    groups: dict[str, dict[str, list[int]]] = {}
    for number, record in enumerate(found):
        groups.setdefault(row_of(number, swept), {}).setdefault(column_of(number, record, swept), []).append(number)
    names = list(dict.fromkeys(name for row in groups.values() for name in row))[:MOST]
    if not densities or len(groups) * len(names) < 2:
        return None
    finished = [record for record in found if record and record.status == "finished"]
    metric = wanted or (JUDGED_BY if any(JUDGED_BY in record.metrics for record in finished) else chosen_metric(finished, None))
    columns = []
    for name in names:
        known = (densities[number] for row in groups.values() for number in row.get(name, ()) if number in densities)
        _, truth, ends = next(known, (None, None, None))
        columns.append(Column(name, truth, ends))
    rows = {
        label: [_cell(row.get(name, []), found, densities, metric) for name in names] for label, row in [*groups.items()][:MOST]
    }
    return gallery(columns, rows)


def _cell(
    numbers: Sequence[int],
    found: Sequence[Record | None],
    densities: Mapping[int, tuple[np.ndarray, ...]],
    metric: str | None,
) -> Cell:
    """Jobs that differ in their seed alone: the mean of those that finished, and where some did not, of how many it is."""
    if not numbers:
        return Cell(None, "")
    states = [record.status if (record := found[number]) else "not started" for number in numbers]
    done = [record for number in numbers if (record := found[number]) and record.status == "finished"]
    values = numbers_of(done, metric or "")
    density = next((densities[number][0] for number in numbers if number in densities), None)
    few = f" ({len(values)} of {len(numbers)})" if 0 < len(values) < len(numbers) else ""
    if values:
        return Cell(density, f"{metric} {fmean(values):.2g}{few}")
    return Cell(density, next((state for state in states if state != "finished"), "" if density is not None else "no density"))


def draw_costs(found: Sequence[Record | None], swept: Mapping[str, Sequence[Any]]) -> Any:
    """For each model the mean over data sets and seeds, of those whose runs have measured it."""
    names: dict[str, list[Record]] = {}
    for number, record in enumerate(found):
        if record and record.status == "finished":
            names.setdefault(row_of(number, swept), []).append(record)
    means = {name: [_mean(runs, metric) for metric in ("seconds_density", "seconds_sample")] for name, runs in names.items()}
    means = {name: pair for name, pair in means.items() if not all(map(math.isnan, pair))}
    if len(means) < 2:
        return None
    density, sample = zip(*means.values(), strict=True)
    return costs([*means], density, sample)


def draw_histories(found: Sequence[Record | None], swept: Mapping[str, Sequence[Any]]) -> Any:
    """The held-out loss of each run against the seconds of its training: of runs of one model on the same data, for the losses of
    others are other things.
    """
    finished = {number: record for number, record in enumerate(found) if record and record.status == "finished"}
    kinds = {json.dumps([_named(run, "model"), run.config.get("dataset")], sort_keys=True) for run in finished.values()}
    if len(kinds) != 1 or any("objective" in key for key in swept):
        return None
    lines = []
    for number, run in finished.items():
        history = [line for line in RunFolder(run.path).history() if "heldout/loss" in line and line.get("seconds", 0) > 0]
        if len(history) > 1:
            x, y = (np.array([line[key] for line in history], dtype=float) for key in ("seconds", "heldout/loss"))
            lines.append(Line(row_of(number, swept) or "all seeds", x, y))
    known = [run.metrics.get("floor/heldout_loss") for run in finished.values()]
    floors = {float(value) for value in known if isinstance(value, int | float)}
    objectives = {
        model.get("objective") if isinstance(model := run.run.get("model"), dict) else None for run in finished.values()
    }
    unit = "nats" if objectives <= {"nll", "bound", "reverse_kl"} else ""
    return loss_against_seconds(lines, floors.pop() if len(floors) == 1 else None, unit) if len(lines) > 1 else None


def _named(run: Record, section: str) -> Any:
    keys = run.config.get(section)
    return keys.get("name") if isinstance(keys, dict) else None


def _mean(runs: Sequence[Record], metric: str) -> float:
    values = numbers_of(runs, metric)
    return fmean(values) if values else math.nan


def numbers_of(runs: Sequence[Record], metric: str) -> list[float]:
    """What a metric is in those runs that have it."""
    found = (run.metrics.get(metric) for run in runs)
    return [float(value) for value in found if isinstance(value, int | float) and not isinstance(value, bool)]


def draw_latents(found: Sequence[Record | None], swept: Mapping[str, Sequence[Any]]) -> Any:
    """Draws from the posteriors of test pictures in a latent plane, by class: of the first run of each setting."""
    planes: dict[str, Plane] = {}
    for number, record in enumerate(found):
        name = row_of(number, swept)
        if record and name not in planes and len(planes) < PLANES and (plane := _plane(record)) is not None:
            planes[name] = plane
    return side_by_side(planes) if len(planes) > 1 else None


def row_of(number: int, swept: Mapping[str, Sequence[Any]]) -> str:
    """The name of a job's model: all that was swept but the data and the seed."""
    keys = [key for key in swept if key != "seed" and key.partition("/")[0].partition(".")[0] != "dataset"]
    words = [(key, as_text(swept[key][number])) for key in keys]
    return "\n".join(text if key in ("model", "experiment") else f"{short(key, swept)}={text}" for key, text in words)


def column_of(number: int, record: Record | None, swept: Mapping[str, Sequence[Any]]) -> str:
    """The name of its data: what was swept of them; else, as its configuration has it, the name of the set."""
    keys = [key for key in swept if key.partition("/")[0].partition(".")[0] == "dataset"]
    if keys:
        words = [(key, as_text(swept[key][number])) for key in keys]
        return ", ".join(text if key == "dataset" else f"{short(key, swept)}={text}" for key, text in words)
    if "experiment" not in swept:
        return "data"
    data = record.config.get("dataset") if record else None
    return str(data.get("name")) if isinstance(data, dict) else "data"


def _plane(record: Record) -> Plane | None:
    arrays, data = _arrays(record, LATENT), record.run.get("data")
    if arrays is None or arrays[0].ndim != 2 or arrays[0].shape[1] != 2 or arrays[1].shape != arrays[0].shape[:1]:
        return None
    classes = data.get("classes") if isinstance(data, dict) else None
    return Plane(arrays[0], arrays[1], [str(name) for name in classes]) if isinstance(classes, list) else None


def _arrays(record: Record, names: tuple[str, ...] = ARRAYS) -> tuple[np.ndarray, ...] | None:
    """The density that a run learnt, the true one and the ends of the axes, or other arrays; None where it has kept none."""
    kept = kept_arrays(record.path, names) if record.status == "finished" else {}
    return tuple(kept[name] for name in names) if len(kept) == len(names) else None
