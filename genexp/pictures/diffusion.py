"""Pictures of diffusion: ODE beside SDE, and guidance."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.diffusion.base import DiffusionSampler, Schedule, samplers, schedules
from genexp.divergences.wasserstein import wasserstein
from genexp.figures import diffusion as figures
from genexp.figures.style import Window
from genexp.measures.diffusion import DATA, MODEL, bures, by_sampler, compared, every_sampler, exact_distance
from genexp.measures.guidance import DATA as GAUSSIAN_CLASSES
from genexp.measures.guidance import MODEL as GUIDED
from genexp.measures.guidance import guided, log_tilted, mixture_of
from genexp.measures.record import Film, film, picture
from genexp.quadrature import midpoints
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

EVALUATIONS = (3, 5, 9, 17, 33, 65)
COMPARED, TRIED = 500, 5_000  # points of the run's network, and of exact scores
STEPS = 60  # of the paths
FOLLOWED, SHOWN = 10, 700  # paths, and points of the film
BEHIND, BINS, REACH = 20_000, 90, 3.2  # points of the density behind the paths; unit variances
SIDE, WIDE, WIDEST = 160, 4.0, 8.0  # of the contours: cells a side, and half of what is shown, at least and at most
BOTH = {"heun": "along the ODE: straight", "euler_maruyama": "along the SDE: trembling"}


@picture("ode_beside_sde", "Distance to the data over evaluations, of every sampler", lead=1, model=MODEL, data=DATA)
def ode_beside_sde(subject: Subject) -> Figure | None:
    """On Gaussian data of the same covariance in closed form, and by drawing; on the data themselves by the run's network."""
    if (found := compared(subject)) is None or not subject.model.space.exact:
        return None
    half = min(COMPARED, len(found[0]) // 2)
    real, floor = found[0][:half], wasserstein(found[0][half : 2 * half], found[0][:half])
    model = subject.model
    scale = float(model.space.units[1])
    covariance = (found[0].double() / scale).mT.cov().reshape(model.dim, model.dim)
    variances = torch.linalg.eigvalsh(covariance).clamp(min=1e-8)
    curves = []
    for name, sampler in every_sampler().items():
        rows = []
        for count in EVALUATIONS:
            steps = sampler.steps(count)
            exact = scale * exact_distance(sampler, model.schedule, variances, steps)
            tried = scale * bures(gaussian_points(sampler, model.schedule, variances, steps), variances.diag())
            learnt = wasserstein(by_sampler(subject, sampler, count, len(real)), real)
            rows.append((steps * sampler.cost + 1, exact, tried, learnt))
        curves.append(figures.Curve(name, sampler.ode, *np.array(rows).T))
    return figures.distances(curves, floor)


def gaussian_points(sampler: DiffusionSampler, schedule: Schedule, variances: Tensor, steps: int) -> Tensor:
    """Points that a sampler makes of exact scores of N(0, diag), (n, dim)."""

    def denoised(m: Tensor, tau: Tensor) -> Tensor:
        return variances / (variances + tau[:, None] ** 2) * m

    start = schedule.start * torch.randn(TRIED, len(variances), dtype=torch.float64)
    return sampler.walk(denoised, start, schedule, steps).m[-1]


@once
def ways(subject: Subject) -> tuple[list[figures.Paths], Tensor]:
    """The same noise on both ways, at even angles of a schedule that preserves the variance; and τ at each time."""
    model = subject.model
    schedule = schedules.build({"name": "cosine", "noise_range": list(model.schedule.ends)})
    found = []
    for name, title in BOTH.items():
        with seeded(seed_for(subject.settings.seed, "paths"), subject.device):
            noise = torch.randn(SHOWN, model.dim, device=subject.device)
            walk = samplers.build({"name": name}).walk(model.denoised, schedule.start * noise, schedule, STEPS)
        shown = walk.m / (1 + walk.tau.to(walk.m)[:, None, None] ** 2).sqrt()
        found.append(figures.Paths(title, shown.float().cpu().numpy()))
    return found, walk.tau


@picture("paths", "The same noise along the ODE and along the SDE, over the density at each time", lead=2, model=MODEL, data=DATA)
@torch.no_grad()
def paths(subject: Subject) -> Figure | None:
    if not subject.model.space.exact:
        return None
    found, tau = ways(subject)
    data = subject.data.heldout(BEHIND, seed_for(subject.settings.seed, "paths/data")).x.to(subject.device)
    first = subject.model.space.into(data)[:, :1].double().cpu()
    noisy = (first + tau * torch.randn(len(first), 1).double()) / (1 + tau**2).sqrt()
    edges = np.linspace(-REACH, REACH, BINS + 1)
    columns = [np.histogram(column, bins=edges, density=True)[0] for column in noisy.T.numpy()]
    few = [figures.Paths(each.name, each.way[:, :FOLLOWED]) for each in found]
    return figures.coordinate_paths(few, np.linspace(0, 1, len(tau)), np.stack(columns, axis=1), REACH)


@film("paths", "The same noise along the ODE and along the SDE", model=MODEL, data={*DATA, "plane"})
@torch.no_grad()
def paths_film(subject: Subject) -> Film:
    settings = subject.settings.figures
    found, _ = ways(subject)
    shown = np.unique(np.linspace(0, STEPS + 1, min(STEPS + 2, settings.gif_frames)).round().astype(int))
    fewer = [figures.Paths(each.name, each.way[shown]) for each in found]
    return Film(figures.plane_frames(fewer, FOLLOWED, REACH, settings.gif_size), max(1, settings.gif_fps // 2))


@picture(
    "guidance",
    "Guided samples over contours of what they should be, and how far they are from it",
    lead=0,
    model=GUIDED,
    data=GAUSSIAN_CLASSES,
)
def guidance(subject: Subject) -> Figure:
    mixture, found = mixture_of(subject), guided(subject)
    farthest = max(float(each.exact.abs().flatten().quantile(0.995)) for each in found)  # one stray point does not decide
    half = min(max(WIDE, 1.08 * farthest), WIDEST)
    corner = torch.full((2,), half, dtype=torch.float64)
    grid = midpoints(-corner, corner, SIDE)
    views = []
    for each in found:
        log_p = log_tilted(mixture, grid.points, each.weight).mT.reshape(-1, SIDE, SIDE).numpy()
        clouds = (each.learnt.numpy(), each.exact.numpy())
        views.append(figures.GuidedView(each.weight, *clouds, log_p, each.kl, each.exact_kl))
    return figures.guidance(views, Window(0, 0, half))
