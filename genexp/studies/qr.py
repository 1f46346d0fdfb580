"""Studies of a uniform density over black cells: does the generated code scan, and how far is it from the truth?"""

import numpy as np
import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.data.base import Batch
from genexp.data.cells import UniformCells
from genexp.data.qr import QR
from genexp.errors import UserError
from genexp.figures import densities, points
from genexp.metrics.barcode import decode, decode_opencv, draw_cells, draw_points
from genexp.metrics.cells import leak, module_tv
from genexp.metrics.flow import excess_loss
from genexp.models.base import GenerativeModel, HasLayers, HasLogProb, HasVelocity, Terms
from genexp.models.flow_matching import flow_matching_loss
from genexp.quadrature import midpoints
from genexp.registry import studies
from genexp.studies.base import Evaluation, Metric, Study, Subject, draw_samples
from genexp.studies.likelihood import held_out, likelihood
from genexp.studies.points import SHOWN_POINTS, draw_flow, draw_loss
from genexp.training.validation import heldout_batch, same_noise

FIELD_TIMES = ((0.25, 1.0), (0.7, 1.0), (0.9, 0.5), (0.97, 0.3))  # time, share of the width shown


@studies.register("qr")
class QRStudy(Study):
    """Numbers: leak, module_tv, decoded, scannable, decoded_opencv, nll and, for flow matching, excess_loss."""

    def validate(self, model: GenerativeModel, batch: Batch) -> Terms:
        """For flow matching also the excess loss, which is free of the loss's own noise."""
        terms = model.validate(batch)
        if not isinstance(model, HasVelocity):
            return terms
        return {
            "excess_loss": torch.tensor(excess_loss(model, _exact(self.subject), len(batch.x), self.subject.device, seed=1)),
            **terms,
        }

    def evaluate(self) -> Evaluation:
        subject = self.subject
        data: QR = subject.data
        density, settings = _exact(subject), subject.settings.evaluation
        samples, true = draw_samples(subject), held_out(subject)
        picture = draw_points(samples.numpy())
        payload = data.payload or decode(draw_cells(density.mask.numpy()))
        decoded = decode(picture)
        metrics: dict[str, Metric] = {
            "leak": leak(samples, density),
            "floor/leak": 0.0,
            "module_tv": module_tv(samples, density),
            "floor/module_tv": module_tv(true.target, density),
            "decoded": decoded,
            "scannable": None if payload is None else int(decoded == payload),
            "decoded_opencv": _decoded_opencv(picture),
        }
        if isinstance(subject.model, HasLayers):
            metrics["floor/heldout_loss"] = density.entropy
        if isinstance(subject.model, HasLogProb):
            metrics |= likelihood(subject, true.scored).metrics()
            metrics["floor/nll"] = density.entropy
        if isinstance(subject.model, HasVelocity):
            metrics["excess_loss"] = excess_loss(subject.model, density, settings.num_points, subject.device)
            metrics["floor/excess_loss"] = 0.0
            metrics["irreducible_loss"] = density.irreducible_loss()
            metrics["floor/heldout_loss"] = heldout_floor(subject)
        return Evaluation(metrics, {"samples": samples.numpy(), "target": true.target.numpy()}, picture)

    def draw(self, evaluation: Evaluation, folder: RunFolder) -> None:
        subject = self.subject
        data = subject.data
        samples, true = evaluation.samples["samples"], evaluation.samples["target"]
        title = "generated" + (", and it scans" if evaluation.metrics["scannable"] else "")
        folder.save_figure("samples", points.clouds({"target": true[:SHOWN_POINTS], title: samples[:SHOWN_POINTS]}))
        folder.save_figure("density", points.density(samples, 1 / data.density.area))
        draw_loss(evaluation, folder)
        if isinstance(subject.model, HasLogProb):
            folder.save_figure("log_density", densities.log_density(log_density_on_grid(subject), -data.density.entropy))
        if isinstance(subject.model, HasVelocity):
            folder.save_figure("velocity", points.velocity_fields(field_views(subject), data.density.squares().cpu().numpy()))
            draw_flow(subject, folder, true)

    def picture(self, evaluation: Evaluation) -> Image.Image:
        """The picture that the scanner was given, enlarged."""
        assert evaluation.picture is not None
        image = Image.fromarray(evaluation.picture)
        return image.resize((image.width * 3, image.height * 3), Image.Resampling.NEAREST)


@torch.no_grad()
def log_density_on_grid(subject: Subject) -> np.ndarray:
    """The learnt ln p on a grid over [−1, 1]², (side, side), y upwards."""
    side = subject.settings.figures.log_density_side
    corner = torch.ones(2)
    parts = midpoints(-corner, corner, side).points.float().to(subject.device).split(subject.settings.evaluation.batch_size)
    return torch.cat([subject.model.log_prob(part).float().cpu() for part in parts]).reshape(side, side).numpy()


def heldout_floor(subject: Subject) -> float:
    """The held-out loss that the optimal velocity gets, on the very points and noise that the run was measured on."""
    settings = subject.settings
    batch = heldout_batch(subject.data, settings.trainer.eval_size, settings.seed)
    with same_noise(subject.device):
        return float(flow_matching_loss(_exact(subject).optimal_velocity, batch.x))


@torch.no_grad()
def field_views(subject: Subject, side: int = 24) -> list[points.FieldView]:
    """The learnt and the optimal field, on a side × side grid: the whole code early, its upper left corner late."""
    density, device, views = _exact(subject), subject.device, []
    reach = density.top + density.cell
    for t, window in FIELD_TIMES:
        across = torch.linspace(-reach, -reach + 2 * reach * window, side, device=device)
        grid = torch.cartesian_prod(across, -across)
        times = torch.full((len(grid),), t, device=device)
        fields = {"learnt": subject.model.velocity(grid, times), "optimal": density.optimal_velocity(grid, times)}
        views.append(points.FieldView(t, grid.cpu().numpy(), {name: field.cpu().numpy() for name, field in fields.items()}))
    return views


def _exact(subject: Subject) -> UniformCells:
    """The density on the CPU, where there is float64 for its closed forms."""
    return subject.data.density.to(torch.device("cpu"))


def _decoded_opencv(picture: np.ndarray) -> str | None:
    try:
        return decode_opencv(picture)
    except UserError:
        return None
