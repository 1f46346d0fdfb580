"""Pictures of points: samples, the flow that moves them, the layers that warp them."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import coordinates, densities, points
from genexp.measures.barcode import scannable
from genexp.measures.record import Film, Value, film, picture
from genexp.quadrature import midpoints
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject

SHOWN_POINTS = 60_000
LAYER_DOTS = 3_000
CONTOUR_SIDE, SHOWN_OVER_CONTOURS = 240, 5_000
FIELD_TIMES = ((0.25, 1.0), (0.7, 1.0), (0.9, 0.5), (0.97, 0.3))  # time, share of the width shown


def cloud(x: Tensor) -> np.ndarray:
    return x[:SHOWN_POINTS].numpy()


def limit_of(subject: Subject) -> float:
    """Half the side of the square that holds a density whose box is known."""
    low, high = subject.density.box(4.5)
    return float(torch.maximum(-low, high).max())


@picture("samples", "Samples", lead=0, data={"points", "drawn"})
def samples(subject: Subject) -> Figure:
    """Beside as many points of the data; where it is known where these lie, also those that the flow began with."""
    title = "generated" + (", and it scans" if "code" in subject.knows and scannable(subject) == Value(1) else "")
    clouds = {"target": cloud(subject.target), title: cloud(subject.samples)}
    if not {"box", "plane"} <= subject.knows:
        return coordinates.clouds(clouds)
    with seeded(seed_for(subject.settings.seed, "base"), subject.device):
        count = len(clouds["target"])
        base = subject.model.sample_base(count) if "layers" in subject.can else torch.randn(count, 2)
    return points.clouds({"base": base.cpu().numpy(), **clouds}, limit_of(subject))


@picture("samples", "Samples over the density that they should have", lead=0, data={"plane", "target", "box"})
def samples_of_target(subject: Subject) -> Figure:
    limit = limit_of(subject)
    grid = midpoints(torch.full((2,), -limit), torch.full((2,), limit), CONTOUR_SIDE)
    log_p = subject.density.log_prob(grid.points).reshape(CONTOUR_SIDE, CONTOUR_SIDE).numpy()
    return densities.samples_over_contours(cloud(subject.samples)[:SHOWN_OVER_CONTOURS], log_p, limit)


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
    lines = torch.as_tensor(densities.grid_lines(3.0), dtype=torch.float32, device=subject.device)
    with seeded(seed_for(subject.settings.seed, "animation"), subject.device):
        dots = subject.model.sample_base(LAYER_DOTS)
    grid = subject.model.layers(lines.flatten(0, 1)).unflatten(1, lines.shape[:2])
    return grid.cpu().numpy(), subject.model.layers(dots).cpu().numpy()


@picture("layers", "From the base to the data, layer by layer", model={"layers"}, data={"plane", "box"})
def layers(subject: Subject) -> Figure:
    return densities.warped_grids(*warped(subject), limit_of(subject))


@film("layers", "From the base to the data, layer by layer", model={"layers"}, data={"plane", "box"})
def layers_film(subject: Subject) -> Film:
    figures = subject.settings.figures
    frames = densities.warping_frames(*warped(subject), limit_of(subject), figures.gif_size, figures.gif_frames)
    return Film(frames, figures.gif_fps)


@picture("velocity", "The learnt velocity and the optimal one", model={"velocity"}, data={"cells"})
def velocity(subject: Subject) -> Figure:
    return points.velocity_fields(field_views(subject), subject.density.squares().numpy())


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
