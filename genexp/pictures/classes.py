"""Pictures of a latent space whose pictures have classes: averages, neighbourhoods, confusions."""

from itertools import combinations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import classes as figures
from genexp.figures import images
from genexp.latent.paths import linear
from genexp.measures.classes import confusion as confusion_of
from genexp.measures.latents import latent_points
from genexp.measures.record import picture
from genexp.subject import Subject, once

AROUND, STRIP, RADII = 8, 10, (0.25, 0.5, 1.0, 2.0)
MANY = 4_000  # training pictures whose latents are averaged
MODEL, DATA = {"latents"}, {"examples", "pictures", "classes"}


@once
def train_latents(subject: Subject) -> Tensor:
    """Of the first training pictures, (n, latent)."""
    return latent_points(subject, subject.data.train[:MANY]).to(subject.device)


@once
def means(subject: Subject) -> dict[int, tuple[Tensor, Tensor]]:
    """Mean and standard deviation of each class's latents, where it has any."""
    z, label = train_latents(subject), subject.data.train.label[:MANY]
    there = [index for index in range(len(subject.data.spec.classes)) if bool((label == index).any())]
    return {index: (z[label == index].mean(0), z[label == index].std(0, correction=0)) for index in there}


@picture("averages", "Each class's average latent, and half a σ around it", model=MODEL, data=DATA)
def averages(subject: Subject) -> Figure:
    around = {}
    for index, (mean, spread) in means(subject).items():
        points = mean + 0.5 * spread * torch.randn(AROUND, len(mean), device=mean.device)
        around[subject.data.spec.classes[index]] = decode(subject, torch.cat([mean[None], points]), index)
    return images.rows(around, "average latent of each class (left), and half a σ around it")


@picture("between_averages", "Between the average latents of the classes", model=MODEL, data=DATA)
def between_averages(subject: Subject) -> Figure | None:
    names, found, ways = subject.data.spec.classes, means(subject), {}
    for one, other in list(combinations(found, 2))[:6]:
        ways[f"{names[one]} → {names[other]}"] = decode(subject, linear(found[one][0], found[other][0], STRIP), one)
    return images.rows(ways, "between the average latents of the classes") if ways else None


@picture("neighbourhood", "A test picture and its neighbourhood", model=MODEL, data=DATA)
def neighbourhood(subject: Subject) -> Figure:
    """What lies in random directions from its latent at growing radii, in units of the latents' σ."""
    sigma, batch = train_latents(subject).std(0, correction=0), subject.test_part[:1].batch()
    point = subject.model.encode(batch.x, batch.label)
    directions = torch.randn(AROUND, point.shape[1], device=point.device)
    directions = directions / directions.norm(dim=1, keepdim=True) * point.shape[1] ** 0.5
    label = None if batch.label is None else int(batch.label[0])
    shown = {}
    for radius in RADII:
        decoded = decode(subject, torch.cat([point, point + radius * sigma * directions]), label)
        shown[f"{radius:g} σ"] = np.concatenate([batch.x.cpu().numpy(), decoded])
    return images.rows(shown, "a test picture, its reconstruction, and its neighbourhood")


@picture("confusion", "Which class is taken for which", model=MODEL, data=DATA)
def confusion(subject: Subject) -> Figure:
    return figures.confusion(confusion_of(subject), subject.data.spec.classes)


def decode(subject: Subject, z: Tensor, label: int | None) -> np.ndarray:
    """Pictures of latent points (n, latent); a conditional model is told one class for all."""
    labels = None if label is None else torch.full((len(z),), label, device=z.device)
    return subject.model.decode(z, labels).float().cpu().numpy()
