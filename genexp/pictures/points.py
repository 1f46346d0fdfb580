"""Pictures of points: samples, the flow that moves them, the layers that warp them."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.data.cells import UniformCells
from genexp.figures import coordinates, densities, points
from genexp.figures.style import Window
from genexp.measures.barcode import scannable
from genexp.measures.record import Film, Value, film, picture
from genexp.quadrature import midpoints
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject

SHOWN_POINTS = 60_000
SHOWN_IN_A_CELL = 40  # points of data in so many cells that SHOWN_POINTS would leave them bare
PIXELS_OF_A_CELL, PIXELS_AN_INCH, PANEL = 3, 95, 4.2  # least pixels; so many of a panel's inch lie inside its axes; inches
LAYER_DOTS = 3_000
OUTSIDE = 2e-3  # share of the base's coordinates that lie outside the grid
CONTOUR_SIDE, SHOWN_OVER_CONTOURS = 240, 5_000
FIELD_TIMES = ((0.25, 1.0), (0.7, 1.0), (0.9, 0.5), (0.97, 0.3))  # time, share of the width shown


def cloud(x: Tensor, count: int = SHOWN_POINTS) -> np.ndarray:
    return x[:count].numpy()


def window_of(subject: Subject) -> Window:
    """The part of the plane that is drawn of the data: what holds their points or, of a density without any, its box."""
    if "drawn" in subject.knows:
        return coordinates.window_of(cloud(subject.target))
    low, high = subject.density.box(4.5)
    x, y = ((low + high) / 2).tolist()
    return Window(x, y, float((high - low).max()) / 2)


@picture("samples", "Samples", lead=0, data={"points", "drawn"})
def samples(subject: Subject) -> Figure:
    """Beside as many points of the data; where it is known where these lie, also those that the flow began with."""
    title = "generated" + (", and it scans" if "code" in subject.knows and scannable(subject) == Value(1) else "")
    count, panel = of_cells(subject.density) if "cells" in subject.knows else (SHOWN_POINTS, PANEL)
    clouds = {"target": cloud(subject.target, count), title: cloud(subject.samples, count)}
    if "cells" in subject.knows:
        return points.clouds(clouds, [Window(0, 0, 1.0)] * 2, panel)
    if "units" in subject.knows:
        units = subject.data.units
        return coordinates.clouds({name: units.own(torch.from_numpy(x)).numpy() for name, x in clouds.items()}, units.columns)
    if not {"box", "plane"} <= subject.knows:
        return coordinates.clouds(clouds)
    window = window_of(subject)
    if not {"layers", "velocity"} & subject.can:
        return points.clouds(clouds, [window, window])
    with seeded(seed_for(subject.settings.seed, "base"), subject.device):
        count = len(clouds["target"])
        base = (subject.model.sample_base(count) if "layers" in subject.can else torch.randn(count, 2)).cpu().numpy()
    return points.clouds({"base": base, **clouds}, [coordinates.window_of(base), window, window])


def of_cells(density: UniformCells) -> tuple[int, float]:
    """How many points make the cells visible that they lie in, and in a panel of how many inches a side."""
    side = PIXELS_OF_A_CELL * 2 / density.cell / PIXELS_AN_INCH
    return max(SHOWN_POINTS, SHOWN_IN_A_CELL * int(density.mask.sum())), min(max(PANEL, side), 2 * PANEL)


@picture("samples", "Samples over the density that they should have", lead=0, data={"plane", "target", "box"})
def samples_of_target(subject: Subject) -> Figure:
    window = window_of(subject)
    low, high = map(torch.tensor, window.corners)
    grid = midpoints(low, high, CONTOUR_SIDE)
    log_p = subject.density.log_prob(grid.points).reshape(CONTOUR_SIDE, CONTOUR_SIDE).numpy()
    return densities.samples_over_contours(cloud(subject.samples)[:SHOWN_OVER_CONTOURS], log_p, window)


@picture(
    "marginal",
    "Two of the coordinates, true samples and the model's, over contours of their exact density",
    lead=1,
    data={"points", "drawn", "marginal"},
)
def marginal(subject: Subject) -> Figure:
    found = subject.data.marginal
    corners = torch.tensor([found.low, found.high], dtype=torch.float64)
    grid = midpoints(corners[0], corners[1], CONTOUR_SIDE)
    log_p = found.log_prob(grid.points).reshape(CONTOUR_SIDE, CONTOUR_SIDE).cpu().numpy()
    pair = [found.first, found.second]
    true, samples = (cloud(x[:SHOWN_OVER_CONTOURS, pair]) for x in (subject.target, subject.samples))
    return densities.marginal(true, samples, log_p, corners.numpy(), [f"x{index + 1}" for index in pair])


@film("flow", "Points flowing from noise into data", model={"velocity"}, data={"points", "drawn"})
def flow(subject: Subject) -> Film:
    """As far as the data reach."""
    figures, target = subject.settings.figures, cloud(subject.target)
    with seeded(seed_for(subject.settings.seed, "animation"), subject.device):
        start = torch.randn(figures.gif_points, target.shape[1], device=subject.device)
        trajectory = subject.model.trajectory(start, figures.gif_frames).cpu().numpy()
    limit = coordinates.reach(coordinates.in_plane(target))
    return Film(points.flow_frames(coordinates.in_plane(trajectory), figures.gif_size, limit), figures.gif_fps)


def warped(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """The lines of a grid of the base, and dots of it, after each layer."""
    with seeded(seed_for(subject.settings.seed, "animation"), subject.device):
        dots = subject.model.sample_base(LAYER_DOTS)
    reach = float(dots.abs().float().quantile(1 - OUTSIDE))
    lines = torch.as_tensor(densities.grid_lines(reach), dtype=torch.float32, device=subject.device)
    grid = subject.model.layers(lines.flatten(0, 1)).unflatten(1, lines.shape[:2])
    return grid.cpu().numpy(), subject.model.layers(dots).cpu().numpy()


@picture("layers", "From the base to the data, layer by layer", model={"layers"}, data={"plane"})
def layers(subject: Subject) -> Figure:
    grids, dots = warped(subject)
    return densities.warped_grids(grids, dots, coordinates.window_of(dots[-1]))


@film("layers", "From the base to the data, layer by layer", model={"layers"}, data={"plane"})
def layers_film(subject: Subject) -> Film:
    figures = subject.settings.figures
    grids, dots = warped(subject)
    frames = densities.warping_frames(grids, dots, coordinates.window_of(dots[0], dots[-1]), figures.gif_size, figures.gif_frames)
    return Film(frames, figures.gif_fps)


@picture("velocity", "The learnt velocity and the optimal one", model={"velocity"}, data={"cells"})
def velocity(subject: Subject) -> Figure:
    cells = subject.density
    return points.velocity_fields(field_views(subject), cells.mask.cpu().numpy(), cells.extent)


def field_views(subject: Subject, side: int = 24) -> list[points.FieldView]:
    """The learnt and the optimal field, on a side × side grid: the whole code early, its upper left corner late."""
    density, device, views = subject.density, subject.device, []
    reach = density.top + density.cell
    for t, window in FIELD_TIMES:
        across = torch.linspace(-reach, -reach + 2 * reach * window, side, device=device)
        grid = torch.cartesian_prod(across, -across)
        times = torch.full((len(grid),), t, device=device)
        fields = {"learnt": subject.model.velocity(grid, times), "optimal": density.optimal_velocity(grid, times)}
        views.append(points.FieldView(t, grid.cpu().numpy(), {name: field.cpu().numpy() for name, field in fields.items()}))
    return views
