"""Pictures of energy-based models."""

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import energies as figures
from genexp.figures.style import Window
from genexp.measures.energies import CHAINS, runs
from genexp.measures.quadrature import in_float64, in_parts
from genexp.measures.record import Film, film, picture
from genexp.pictures.densities import PART, PICTURE_SIDE, on_grid
from genexp.pictures.learning import as_it_was
from genexp.pictures.points import window_of
from genexp.quadrature import midpoints
from genexp.subject import Subject

ROLLING, LAST = 300, 400  # chains of the film, and transitions of its last frame
COUNTS = (1, 3, 10, 30, 100, 300)  # transitions of the short runs
AWAY = 1.35  # times the window of the data: what is seen of the landscape
PLANE = {"plane", "drawn", "box"}
STAGES = (0.0, 0.04, 0.25, 1.0)  # shares of the training


def energy_on_grid(model: Any, window: Window) -> np.ndarray:
    """E over the window, (side, side) with y upwards, in float64."""
    low, high = map(torch.tensor, window.corners)
    return in_parts(model.energy, midpoints(low, high, PICTURE_SIDE).points, PART).reshape(PICTURE_SIDE, PICTURE_SIDE).numpy()


@film("landscape", "Chains that roll into the valleys of the energy", lead=3, model={"energy", "exact"}, data=PLANE)
def landscape(subject: Subject) -> Film:
    """Plain chains from the noise, each frame later by more transitions than the last."""
    settings, near = subject.settings.figures, window_of(subject)
    window = Window(near.x, near.y, AWAY * near.half)
    times = np.unique(np.round(LAST * np.linspace(0, 1, settings.gif_frames) ** 3).astype(int)).tolist()
    paths = subject.model.rolling(subject.model.noise_samples(min(ROLLING, settings.gif_points)), times).cpu().numpy()
    ground = energy_on_grid(in_float64(subject.model), window)
    return Film(figures.rolling_frames(ground, paths, times, window, settings.gif_size), min(settings.gif_fps, 10))


@picture("energies", "Energy over training, data pulled down and samples pushed up; and in the end", lead=4, model={"energy"})
def energies(subject: Subject) -> Figure:
    names = {"data": "energy_data", "samples": "energy_samples"}
    lines = [line for line in subject.history if set(names.values()) <= set(line)]
    steps = np.array([line["step"] for line in lines])
    series = {label: (steps, np.array([line[name] for line in lines])) for label, name in names.items()} if lines else {}
    model, size = subject.model, subject.settings.evaluation.batch_size

    def values(x: Tensor) -> np.ndarray:
        return torch.cat([model.energy(part.to(subject.device)).cpu() for part in x[:CHAINS].split(size)]).double().numpy()

    clouds = {"test data": model.with_noise(subject.test.x), "samples": subject.samples, "noise": model.noise_samples(CHAINS)}
    return figures.energies(series, {name: values(x) for name, x in clouds.items()})


@picture(
    "short_runs",
    "What short-run chains hide: how far they are from the model's own density",
    lead=5,
    model={"energy", "exact"},
    data={"plane", "drawn"},
)
def short_runs(subject: Subject) -> Figure:
    found, model = runs(subject), subject.model
    count = len(found.exact)
    begun = {"begun at the noise": model.noise_samples(count), "begun at the data": subject.target[:count].to(subject.device)}
    curves = {name: [found.cells.kl(x.cpu().double()) for x in model.rolling(start, COUNTS)] for name, start in begun.items()}
    return figures.short_runs(COUNTS, curves, found.cells.kl(found.chains[""]), found.cells.kl(found.exact))


@picture(
    "pulled",
    "As it was learnt: where the energy is pulled down and where it is pushed up",
    lead=6,
    model={"energy", "exact"},
    data=PLANE,
)
def pulled(subject: Subject) -> Figure | None:
    """Of some of the states that were kept for the film of the learning; None where none was."""
    if not subject.states:
        return None
    window, true = window_of(subject), on_grid(subject, subject.density)
    states = [*as_it_was(subject)]
    chosen = sorted({round(share * (len(states) - 1)) for share in STAGES})
    views = []
    for model, title in (states[index] for index in chosen):
        views.append(figures.Pull(title, energy_on_grid(model, window), true - on_grid(subject, model)))
    return figures.pulled(views, window)
