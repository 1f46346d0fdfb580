"""Pictures of Markov chains."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import chains as figures
from genexp.figures.style import Window
from genexp.measures.chains import alone, draws
from genexp.measures.record import Film, film, picture
from genexp.pictures.points import window_of
from genexp.quadrature import midpoints
from genexp.samplers import diagnostics
from genexp.subject import Subject, once

SHOWN_CHAINS = 3
FILMED = 200  # draws of each
FEWEST, TIMES = 40, 15  # draws of a trail in the picture: at least so many, and autocorrelation times
TRACED = 1_000  # draws of a trace
SIDE = 240  # points a side of the contours
LAGS = 200
COUNTS = 12  # of R̂ so far
PLANE = {"plane", "box"}


@once
def kept(subject: Subject) -> dict[str, Tensor]:
    """What chains passed through, (chains, draws, dim); beside it where there are jumps the local moves by themselves."""
    if "local_moves" not in subject.can:
        return {"chains": draws(subject)}
    return {"local moves alone": alone(subject).flatten(2).double(), "with proposals of the flow": draws(subject)}


def trailed(subject: Subject, count: int) -> tuple[dict[str, np.ndarray], np.ndarray, Window]:
    """The first draws of a few chains, and ln p over the window that they are drawn in."""
    ways = {name: each[:SHOWN_CHAINS, :count].numpy() for name, each in kept(subject).items()}
    window = window_of(subject)
    low, high = map(torch.tensor, window.corners)
    log_p = subject.density.log_prob(midpoints(low, high, SIDE).points).reshape(SIDE, SIDE).numpy()
    return ways, log_p, window


@picture("trails", "Where the chains went, over contours of the target every two nats", lead=5, model={"chains"}, data=PLANE)
def trails(subject: Subject) -> Figure:
    """So many draws that they have been everywhere, and can still be followed."""
    time = diagnostics.autocorrelation_time(draws(subject)[:, :, 0])
    return figures.trails(*trailed(subject, max(FEWEST, min(FILMED, round(TIMES * time)))))


@film("trails", "Where the chains went, over contours of the target every two nats", model={"chains"}, data=PLANE)
def trails_film(subject: Subject) -> Film:
    settings = subject.settings.figures
    frames = figures.trail_frames(*trailed(subject, FILMED), settings.gif_size, settings.gif_frames)
    return Film(frames, min(settings.gif_fps, 12))


@picture("mixing", "The first coordinate along some chains, how soon it is forgotten, and its R̂", lead=6, model={"chains"})
def mixing(subject: Subject) -> Figure:
    first = {name: each[:, :, 0] for name, each in kept(subject).items()}
    size = next(iter(first.values())).shape[1]
    fewest = math.log10(min(20, size))
    counts = sorted({round(count) for count in np.logspace(fewest, math.log10(size), COUNTS)})
    correlation = {name: diagnostics.autocorrelation(each)[:LAGS].numpy() for name, each in first.items()}
    r_hat = {name: np.array([diagnostics.r_hat(each[:, :count]) for count in counts]) for name, each in first.items()}
    traced = {name: each[:SHOWN_CHAINS, :TRACED].numpy() for name, each in first.items()}
    return figures.mixing(traced, correlation, counts, r_hat)
