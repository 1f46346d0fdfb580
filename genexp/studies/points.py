"""Studies of points in the plane whose density need not be known."""

import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.figures import points
from genexp.machine.distributed import sharded
from genexp.metrics.points import sliced_wasserstein
from genexp.models.base import HasLogProb, HasVelocity
from genexp.registry import studies
from genexp.seeds import seed_for, seeded
from genexp.studies.base import Evaluation, Metric, Study, Subject, draw_samples

SHOWN_POINTS = 60_000
PART = 512  # points whose likelihood is found at once: few enough for several processes to have some


@studies.register("points")
class PointsStudy(Study):
    """Numbers: sliced_wasserstein between samples and held-out data and, where the model has log_prob, nll."""

    def evaluate(self) -> Evaluation:
        subject = self.subject
        settings, seed = subject.settings.evaluation, subject.settings.seed
        samples = draw_samples(subject)
        true, more = (subject.data.heldout(settings.num_samples, seed_for(seed, role)).x.cpu() for role in ("test", "floor"))
        metrics: dict[str, Metric] = {
            "sliced_wasserstein": sliced_wasserstein(samples, true),
            "floor/sliced_wasserstein": sliced_wasserstein(more, true),
        }
        if isinstance(subject.model, HasLogProb):
            metrics["nll"] = mean_nll(subject, true)
        return Evaluation(metrics, {"samples": samples.numpy(), "target": true.numpy()})

    def draw(self, evaluation: Evaluation, folder: RunFolder) -> None:
        subject = self.subject
        samples, target = evaluation.samples["samples"][:SHOWN_POINTS], evaluation.samples["target"][:SHOWN_POINTS]
        folder.save_figure("samples", points.clouds({"target": target, "generated": samples}))
        draw_loss(evaluation, folder)
        draw_flow(subject, folder)

    def picture(self, evaluation: Evaluation) -> Image.Image:
        """The samples as dots."""
        return points.flow_frames(evaluation.samples["samples"][None, :SHOWN_POINTS], 720)[0].convert("L")


@torch.no_grad()
def mean_nll(subject: Subject, x: torch.Tensor) -> float:
    """−E[ln p(x)] in nats over held-out points x (n, 2): the first few thousand where each likelihood is an ODE of its own."""
    settings = subject.settings.evaluation
    used = x[: settings.ode_points if isinstance(subject.model, HasVelocity) else settings.num_points].to(subject.device)

    def log_prob(part: tuple[int, torch.Tensor]) -> torch.Tensor:
        index, few = part
        with seeded(seed_for(subject.settings.seed, f"nll/{index}"), subject.device):
            return subject.model.log_prob(few).double().cpu()

    with torch.autocast(subject.device.type, enabled=False):
        parts = used.split(min(settings.batch_size, PART))
        return -float(torch.cat(sharded([*enumerate(parts)], log_prob)).mean())


def draw_loss(evaluation: Evaluation, folder: RunFolder) -> None:
    """The loss curve, with the floor of the held-out loss where it is known."""
    floor = evaluation.metrics.get("floor/heldout_loss")
    folder.save_figure("loss", points.loss_curve(folder.history(), floor if isinstance(floor, float) else None))


def draw_flow(subject: Subject, folder: RunFolder) -> None:
    """The animation of points flowing from noise into data, for models that move them along a velocity."""
    figures = subject.settings.figures
    if not figures.gif or not isinstance(subject.model, HasVelocity):
        return
    with seeded(seed_for(subject.settings.seed, "animation"), subject.device):
        start = torch.randn(figures.gif_points, 2, device=subject.device)
        trajectory = subject.model.trajectory(start, figures.gif_frames).cpu().numpy()
    folder.save_gif("flow", points.flow_frames(trajectory, figures.gif_size), figures.gif_fps)
