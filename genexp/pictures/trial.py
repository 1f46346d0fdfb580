"""The lamps of a trial of the numbers that samples are judged by."""

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from genexp.failures.base import TRUTH, sampler_on_trial
from genexp.figures.trial import Lamps, lamps
from genexp.measures.record import picture
from genexp.measures.trial import MODEL, trial
from genexp.subject import Subject

POINTS, SIDE = 400, 3  # samples in each small picture: points, and pictures a side


@picture(
    "lamps",
    "Which number notices which failing sampler in most repetitions, at 5 % false alarms: in the lamp the fewest samples that it "
    "takes. Brown: in fewer than half of them. Blue: it looks better than the truth. On the right: the false alarms",
    lead=0,
    model=MODEL,
)
def lamps_of(subject: Subject) -> Figure:
    found, model = trial(subject), subject.model
    looks = [look(subject, name) for name in (*found.failures, TRUTH)]
    limits = None
    if not model.pictures:
        middle, half = model.x[:, :2].mean(), 1.3 * (model.x[:, :2] - model.x[:, :2].mean()).abs().quantile(0.995)
        limits = (float(middle - half), float(middle + half))
    shown = Lamps(
        [label(name, model.pictures) for name in found.names],
        [name.replace("_", " ") for name in found.failures],
        found.fewest(found.noticed),
        found.fewest(found.praised),
        found.noticed[..., -1],
        found.alarms / found.truths,
        found.ladder,
        looks,
        limits,
    )
    return lamps(
        shown,
        f"{subject.settings.dataset['name'].replace('_', ' ')}: which number notices which failing sampler, at 5 % false alarms?",
    )


def label(name: str, pictures: bool) -> str:
    """As a row is called."""
    own, _, space = name.partition("/")
    return f"{own.replace('_', ' ')}, {space}" if space else own.replace("_", " ")


def look(subject: Subject, name: str) -> np.ndarray:
    """Samples of one sampler, to be seen: points (n, 2), or a square of pictures."""
    model = subject.model
    n = model.largest
    train, _, fresh = model.deal(n)
    samples = model.made_by(sampler_on_trial(name), fresh, n, train)
    return square(samples[: SIDE**2]) if model.pictures else plane(samples[:POINTS])


def plane(x: Tensor) -> np.ndarray:
    """The first two coordinates; of one, itself twice."""
    return x[:, [0, min(1, x.shape[1] - 1)]].numpy()


def square(x: Tensor) -> np.ndarray:
    """Pictures (n, channels, h, w), SIDE in a row with lines between, (H, W, channels) or without channels where there is one."""
    x = F.pad(x, (0, 1, 0, 1), value=0.5)
    rows = torch.cat([torch.cat([*row], dim=2) for row in x.split(SIDE) if len(row) == SIDE], dim=1)[:, :-1, :-1]
    return (rows[0] if len(rows) == 1 else rows.permute(1, 2, 0)).clamp(0, 1).numpy()
