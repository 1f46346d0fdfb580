"""Pictures of mixtures of Gaussians in the plane."""

from typing import Any

from matplotlib.figure import Figure

from genexp.figures import mixtures
from genexp.measures.record import picture
from genexp.pictures.points import cloud, window_of
from genexp.subject import Subject


@picture("components", "The Gaussians of the mixture as ellipses over the data", model={"gaussians"}, data={"plane", "drawn"})
def components(subject: Subject) -> Figure:
    return ellipses(subject, subject.model)


def ellipses(subject: Subject, model: Any, title: str = "") -> Figure:
    """Those of `model` over the subject's data."""
    found = model.gaussians()
    weights, means, covariances = (each.double().cpu().numpy() for each in (found.weights, found.means, found.covariances))
    return mixtures.ellipses(cloud(subject.target), weights, means, covariances, window_of(subject), title)
