"""Studies of points of any dimension whose density need not be known."""

import numpy as np
import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.figures import coordinates, points
from genexp.metrics.points import sliced_wasserstein
from genexp.models.base import HasLogProb, HasVelocity
from genexp.registry import studies
from genexp.seeds import seed_for, seeded
from genexp.studies.base import Evaluation, Metric, Study, Subject, draw_samples
from genexp.studies.likelihood import held_out, likelihood

SHOWN_POINTS = 60_000


@studies.register("points")
class PointsStudy(Study):
    """Numbers: sliced_wasserstein between samples and held-out data and, where the model has log_prob, nll."""

    def evaluate(self) -> Evaluation:
        subject = self.subject
        samples, true = draw_samples(subject), held_out(subject)
        more = subject.data.heldout(len(true.target), seed_for(subject.settings.seed, "floor")).x.cpu()
        metrics: dict[str, Metric] = {
            "sliced_wasserstein": sliced_wasserstein(samples, true.target),
            "floor/sliced_wasserstein": sliced_wasserstein(more, true.target),
        }
        if isinstance(subject.model, HasLogProb):
            metrics |= likelihood(subject, true.scored).metrics()
        return Evaluation(metrics, {"samples": samples.numpy(), "target": true.target.numpy()})

    def draw(self, evaluation: Evaluation, folder: RunFolder) -> None:
        clouds = {"target": evaluation.samples["target"], "generated": evaluation.samples["samples"]}
        folder.save_figure("samples", coordinates.clouds({name: x[:SHOWN_POINTS] for name, x in clouds.items()}))
        draw_loss(evaluation, folder)
        draw_flow(self.subject, folder, clouds["target"])

    def picture(self, evaluation: Evaluation) -> Image.Image:
        """The samples as dots."""
        x = coordinates.in_plane(evaluation.samples["samples"][:SHOWN_POINTS])
        return points.flow_frames(x[None], 720, coordinates.reach(x))[0].convert("L")


def draw_loss(evaluation: Evaluation, folder: RunFolder) -> None:
    """The loss curve, with the floor of the held-out loss where it is known."""
    floor = evaluation.metrics.get("floor/heldout_loss")
    folder.save_figure("loss", points.loss_curve(folder.history(), floor if isinstance(floor, float) else None))


def draw_flow(subject: Subject, folder: RunFolder, target: np.ndarray) -> None:
    """The animation of points flowing from noise into data, for models that move them along a velocity, as far as `target`
    (n, dim) reaches.
    """
    figures = subject.settings.figures
    if not figures.gif or not isinstance(subject.model, HasVelocity):
        return
    with seeded(seed_for(subject.settings.seed, "animation"), subject.device):
        start = torch.randn(figures.gif_points, target.shape[1], device=subject.device)
        trajectory = subject.model.trajectory(start, figures.gif_frames).cpu().numpy()
    limit = coordinates.reach(coordinates.in_plane(target))
    folder.save_gif("flow", points.flow_frames(coordinates.in_plane(trajectory), figures.gif_size, limit), figures.gif_fps)
