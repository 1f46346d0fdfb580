"""Measuring and drawing, tried on a few examples while a training is still young: no long one is lost to a picture."""

import copy
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from genexp.folder.run_folder import RunFolder
from genexp.measures.take import Say
from genexp.measures.watching import Watching
from genexp.runs.results import keep, measure
from genexp.seeds import seed_for, seeded
from genexp.settings import RunSettings
from genexp.subject import Subject

FEW = 64  # examples of everything
EVALUATION = {
    "num_samples": FEW,
    "num_points": FEW,
    "ode_points": 4,
    "batch_size": FEW,
    "importance_samples": 2,
    "quadrature_side": 4,
    "amortization_images": 1,
    "fine_images": 0,
    "gradient_images": 0,
    "classifier_steps": 2,
}
FIGURES = {
    "log_density_side": 2,
    "manifold_side": 2,
    "gif_points": 8,
    "gif_frames": 3,
    "gif_fps": 2,
    "gif_size": 64,
    "pair": None,
    "between": None,
}


def rehearse(subject: Subject, say: Say) -> None:
    """Measure and draw a copy of the model as it is, on a few examples: what fails here would fail at the end.

    What would end the run then ends it now; of a number or a picture that would be missing `say` is told now. Random numbers, the
    model and the run's folder are afterwards as if nothing had been done. Without a place for temporary files nothing is tried.
    """
    with suppress(OSError), tempfile.TemporaryDirectory() as place:
        settings = _small(subject.settings)
        with seeded(seed_for(settings.seed, "rehearsal"), subject.device):
            data, model = _few(subject.data), copy.deepcopy(subject.model)
            model.eval()
            model.conclude(data.examples(FEW // 4, 0))
            few = Subject(model, data, settings, subject.device)
            Watching(few).observe(model, data.heldout(FEW, 0), 0)
            few.history = [{"step": 0, "loss": 0.0, "heldout/loss": 0.0}]
            folder = Scratch(Path(place))
            with model.remembering():
                keep(measure(few, folder, say), few, folder, say)


class Scratch(RunFolder):
    """A run folder that nobody reads: pictures are written as they will be, and nothing is said."""

    silent = True

    def say(self, text: str = "") -> None:
        pass


def _small(settings: RunSettings) -> RunSettings:
    """The same run, with little to measure and to draw."""
    evaluation, figures = (
        part.model_copy(update={name: _smaller(getattr(part, name), most) for name, most in limits.items()})
        for part, limits in ((settings.evaluation, EVALUATION), (settings.figures, FIGURES))
    )
    trainer = settings.trainer.model_copy(update={"eval_size": min(FEW, settings.trainer.eval_size)})
    return settings.model_copy(update={"evaluation": evaluation, "figures": figures, "trainer": trainer})


def _smaller(value: Any, most: int | None) -> Any:
    return None if most is None else min(value, most)


def _few(data: Any) -> Any:
    """The same data set; of a finite one a few examples in each part."""
    if "examples" not in data.knows:
        return data
    data = copy.copy(data)
    data.train, data.validation, data.test = (part.few(FEW) for part in (data.train, data.validation, data.test))
    return data
