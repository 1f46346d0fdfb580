"""The figures of a latent space whose pictures have classes: averages, neighbourhoods, confusions."""

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from genexp.artifacts import RunFolder
from genexp.figures import classes as figures
from genexp.figures import images
from genexp.latent.paths import linear
from genexp.studies.base import Evaluation, Subject
from genexp.studies.latent import latent_points, test_part

AROUND, STRIP, RADII = 8, 10, (0.25, 0.5, 1.0, 2.0)
MANY = 4_000  # training pictures whose latents are averaged


def draw_classes(subject: Subject, evaluation: Evaluation, folder: RunFolder) -> None:
    """Averages of the classes, neighbourhoods of one picture of each, and the confusion matrix."""
    few = subject.data.train[:MANY]
    z = latent_points(subject, few).to(subject.device)
    draw_averages(subject, z, few.label, folder)
    draw_neighbourhoods(subject, z.std(0, correction=0), folder)
    if "confusion" in evaluation.samples:
        folder.save_figure("confusion", figures.confusion(evaluation.samples["confusion"], subject.data.spec.classes))


def draw_averages(subject: Subject, z: Tensor, label: Tensor, folder: RunFolder) -> None:
    """Each class's average latent decoded, and points drawn around it; and the ways between the averages."""
    names = subject.data.spec.classes
    there = [index for index in range(len(names)) if bool((label == index).any())]
    mean = {index: z[label == index].mean(0) for index in there}
    spread = {index: z[label == index].std(0, correction=0) for index in there}
    around = {}
    for index, name in ((index, names[index]) for index in there):
        points = mean[index] + 0.5 * spread[index] * torch.randn(AROUND, z.shape[1], device=z.device)
        around[name] = decode(subject, torch.cat([mean[index][None], points]), index)
    folder.save_figure("averages", images.rows(around, "average latent of each class (left), and half a σ around it"))
    ways = {}
    for one, other in list(combinations(there, 2))[:6]:
        ways[f"{names[one]} → {names[other]}"] = decode(subject, linear(mean[one], mean[other], STRIP), one)
    if ways:
        folder.save_figure("between_averages", images.rows(ways, "between the average latents of the classes"))


def draw_neighbourhoods(subject: Subject, sigma: Tensor, folder: RunFolder) -> None:
    """One test picture, and what lies in random directions from its latent at growing radii, in units of the latents' σ."""
    batch = test_part(subject)[:1].batch()
    centre = subject.model.encode(batch.x, batch.label)
    directions = torch.randn(AROUND, centre.shape[1], device=centre.device)
    directions = directions / directions.norm(dim=1, keepdim=True) * centre.shape[1] ** 0.5
    label = None if batch.label is None else int(batch.label[0])
    shown = {}
    for radius in RADII:
        decoded = decode(subject, torch.cat([centre, centre + radius * sigma * directions]), label)
        shown[f"{radius:g} σ"] = np.concatenate([batch.x.cpu().numpy(), decoded])
    folder.save_figure("neighbourhood", images.rows(shown, "a test picture, its reconstruction, and its neighbourhood"))


def decode(subject: Subject, z: Tensor, label: int | None) -> np.ndarray:
    """Pictures of latent points (n, latent); a conditional model is told one class for all."""
    labels = None if label is None else torch.full((len(z),), label, device=z.device)
    return subject.model.decode(z, labels).float().cpu().numpy()
