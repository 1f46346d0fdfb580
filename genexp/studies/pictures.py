"""The figures of any model of pictures."""

from genexp.artifacts import RunFolder
from genexp.figures.images import sheet
from genexp.studies.base import Evaluation, Subject
from genexp.studies.points import draw_loss


def draw_pictures(subject: Subject, evaluation: Evaluation, folder: RunFolder) -> None:
    """Sixteen new pictures (Figure 3 of the article), and the loss."""
    samples = evaluation.samples["samples"]
    folder.save_figure("samples", sheet(samples[:16], 4, pixels=600))
    folder.save_figure("prior_samples", sheet(samples[:72], 12, pixels=1100))
    draw_loss(evaluation, folder)
