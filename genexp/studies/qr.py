"""Studies of a uniform density over black cells: does the generated code scan, and how far is it from the truth?"""

import numpy as np
import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.data.qr import QR
from genexp.errors import UserError
from genexp.figures import points
from genexp.metrics.barcode import decode, decode_opencv, draw_cells, draw_points
from genexp.metrics.cells import leak, module_tv
from genexp.metrics.flow import excess_loss
from genexp.models.base import HasVelocity
from genexp.registry import studies
from genexp.studies.base import Evaluation, Subject, draw_samples, seeded

FIELD_TIMES = (0.25, 0.7, 0.9, 0.97)
SHOWN_POINTS = 60_000


@studies.register("qr")
class QRStudy:
    """Numbers: leak, module_tv, decoded, scannable, decoded_opencv and, for flow matching, excess_loss."""

    def evaluate(self, subject: Subject) -> Evaluation:
        data: QR = subject.data
        density, settings = data.density.to(torch.device("cpu")), subject.settings.evaluation
        with seeded(subject.settings.seed + 2, subject.device):
            samples = draw_samples(subject.model, settings.num_samples, settings.batch_size)
        true = density.sample(settings.num_samples, torch.Generator().manual_seed(subject.settings.seed + 3))
        picture = draw_points(samples.numpy())
        payload = data.payload or decode(draw_cells(density.mask.numpy()))
        decoded = decode(picture)
        metrics = {
            "leak": leak(samples, density),
            "floor/leak": 0.0,
            "module_tv": module_tv(samples, density),
            "floor/module_tv": module_tv(true, density),
            "decoded": decoded,
            "scannable": None if payload is None else int(decoded == payload),
            "decoded_opencv": _decoded_opencv(picture),
        }
        if isinstance(subject.model, HasVelocity):
            metrics["excess_loss"] = excess_loss(subject.model, data.density, settings.num_points)
            metrics["floor/excess_loss"] = 0.0
            metrics["floor/loss"] = density.irreducible_loss()
        return Evaluation(metrics, {"samples": samples.numpy(), "target": true.numpy()}, picture)

    def draw(self, subject: Subject, evaluation: Evaluation, folder: RunFolder) -> None:
        data, figures = subject.data, subject.settings.figures
        samples, true = evaluation.samples["samples"], evaluation.samples["target"]
        title = "generated" + (", and it scans" if evaluation.metrics["scannable"] else "")
        folder.save_figure("samples", points.target_and_samples(true[:SHOWN_POINTS], samples[:SHOWN_POINTS], title))
        folder.save_figure("density", points.density(samples, 1 / data.density.area))
        floor = evaluation.metrics.get("floor/loss")
        folder.save_figure("loss", points.loss_curve(folder.history(), floor, "irreducible"))
        if not isinstance(subject.model, HasVelocity):
            return
        grid, fields = velocity_on_grid(subject)
        folder.save_figure("velocity", points.velocity_fields(grid, fields, np.array(FIELD_TIMES)))
        if figures.gif:
            with seeded(subject.settings.seed + 4, subject.device):
                start = torch.randn(figures.gif_points, 2, device=subject.device)
                trajectory = subject.model.trajectory(start, figures.gif_frames).cpu().numpy()
            folder.save_gif("flow", points.flow_frames(trajectory, figures.gif_size), figures.gif_fps)

    def picture(self, evaluation: Evaluation) -> Image.Image:
        """The picture that the scanner was given, enlarged."""
        assert evaluation.picture is not None
        image = Image.fromarray(evaluation.picture)
        return image.resize((image.width * 3, image.height * 3), Image.Resampling.NEAREST)


@torch.no_grad()
def velocity_on_grid(subject: Subject, side: int = 24) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The learnt and the optimal field on a side × side grid over [−1, 1]² at FIELD_TIMES."""
    line = torch.linspace(-0.96, 0.96, side, device=subject.device)
    grid = torch.cartesian_prod(line, line)
    times = [torch.full((len(grid),), t, device=subject.device) for t in FIELD_TIMES]
    learnt = torch.stack([subject.model.velocity(grid, t) for t in times])
    optimal = torch.stack([subject.data.density.optimal_velocity(grid, t) for t in times])
    return grid.cpu().numpy(), {"learnt": learnt.cpu().numpy(), "optimal": optimal.cpu().numpy()}


def _decoded_opencv(picture: np.ndarray) -> str | None:
    try:
        return decode_opencv(picture)
    except UserError:
        return None
