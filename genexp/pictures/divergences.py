"""Pictures of one Gaussian on two peaks, by either divergence."""

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import divergences
from genexp.figures.divergences import Fits
from genexp.figures.style import as_image
from genexp.measures.divergences import DATA, MODEL, reached
from genexp.measures.record import Film, film, picture
from genexp.subject import Subject

POINTS = 400  # of a curve
SHOWN = 3  # distances
CAPTION = "One Gaussian on two peaks: the forward KL covers both, the reverse KL chooses one"


@picture("forward_reverse_kl", CAPTION, lead=0, model=MODEL, data=DATA)
def forward_reverse_kl(subject: Subject) -> Figure:
    found, last = fits(subject), len(subject.density.distance) - 1
    shown = np.unique(np.linspace(last / SHOWN, last, SHOWN).round().astype(int))
    return divergences.one_covers_one_chooses(found, shown.tolist())


@film("forward_reverse_kl", CAPTION, model=MODEL, data=DATA)
def as_film(subject: Subject) -> Film:
    """A frame for each distance."""
    found = fits(subject)
    frames = [as_image(divergences.frame(found, index)) for index in range(len(found.m))]
    return Film(frames, max(1, subject.settings.figures.gif_fps // 5))


@torch.no_grad()
def fits(subject: Subject) -> Fits:
    """Every curve; all Gaussians of the reverse KL on the right, as which peak is chosen is chance."""
    density, model = subject.density, subject.model
    end = float(density.distance[-1]) + 3.5
    x = torch.linspace(-end, end, POINTS, dtype=torch.float64)[:, None].expand(-1, density.dim)

    def curve(part: Any) -> Tensor:
        mean, std = part.mean.double().cpu(), part.log_std.double().cpu().exp()
        mean = mean.abs() if part is model.reverse_kl else mean
        return torch.distributions.Normal(mean, std).log_prob(x).exp()

    forward, reverse = reached(subject)
    curves = (x, density.log_each(x).exp(), curve(model.forward_kl), curve(model.reverse_kl))
    return Fits(
        density.distance.numpy(),
        *(each.mT.numpy() for each in curves),
        *(each.numpy() for each in (forward, reverse, density.best_forward, density.minima_reverse)),
    )
