"""Studies of pictures: likelihoods, latent space, samples, anomalies."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.data.base import Batch
from genexp.errors import UserError
from genexp.figures.images import sheet
from genexp.models.base import GenerativeModel, HasLatent, HasPosterior
from genexp.registry import datasets, studies
from genexp.studies.base import Evaluation, Study, Subject, draw_samples
from genexp.studies.class_pictures import draw_classes
from genexp.studies.classes import classify
from genexp.studies.latent import (
    amortization_gap,
    anomaly_numbers,
    latent_points,
    likelihood_numbers,
    reconstruction_numbers,
    scores,
    test_part,
)
from genexp.studies.latent_pictures import check_endpoints, draw_latent
from genexp.studies.pictures import draw_pictures
from genexp.studies.samples import sample_numbers

WATCHED = 2_000  # held-out pictures whose way through the latent plane is filmed


@studies.register("images")
class ImageStudy(Study):
    """Numbers: neg_elbo, reconstruction, kl, iwae_nll, quadrature_nll, active_units, knn_accuracy, linear_accuracy and,
    on request, amortization_gap and auroc_….
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.snapshots: list[tuple[int, torch.Tensor]] = []
        check_endpoints(subject.data, subject.settings)
        self.strangers: dict[str, Any] = {}
        if subject.settings.evaluation.anomalies and getattr(subject.model, "conditional", False):
            raise UserError("evaluation.anomalies: a conditional model has no score for pictures that are of none of its classes")
        for name in subject.settings.evaluation.anomalies:
            data = datasets.build({"name": name}, Path(subject.settings.data_dir))
            if data.spec.shape != subject.data.spec.shape:
                ours, theirs = ("×".join(map(str, spec.shape)) for spec in (subject.data.spec, data.spec))
                raise UserError(f"evaluation.anomalies: the pictures of {name} are {theirs}, not {ours}")
            if data.spec.kind != subject.data.spec.kind:
                raise UserError(f"evaluation.anomalies: the values of {name} are of another kind")
            self.strangers[name] = data.to(subject.device)

    # --- during training -------------------------------------------------------------------------------------

    def observe(self, model: GenerativeModel, batch: Batch, step: int) -> None:
        """Where the held-out pictures lie in a latent plane."""
        if isinstance(model, HasLatent) and model.latent == 2:
            label = None if batch.label is None else batch.label[:WATCHED]
            self.snapshots.append((step, model.encode(batch.x[:WATCHED], label).half().cpu()))

    def state_dict(self) -> dict[str, Any]:
        return {"snapshots": self.snapshots}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.snapshots = [(step, z) for step, z in state["snapshots"]]

    # --- afterwards ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        subject = self.subject
        evaluation = Evaluation(samples={"samples": draw_samples(subject).numpy()})
        if isinstance(subject.model, HasLatent):
            test = test_part(subject).batch()
            found = scores(subject, test)
            evaluation.metrics |= likelihood_numbers(subject, test, found)
            evaluation.metrics |= reconstruction_numbers(subject, test, found)
            latent = latent_points(subject, test_part(subject))
            classification = classify(subject, latent)
            evaluation.metrics |= classification.metrics
            with torch.enable_grad():
                evaluation.metrics |= amortization_gap(subject, test)
            evaluation.samples["latent"] = latent.numpy()
            if (label := test_part(subject).label) is not None:
                evaluation.samples["latent_label"] = label.cpu().numpy()
            if classification.confusion is not None:
                evaluation.samples["confusion"] = classification.confusion
            others = {name: scores(subject, self._pictures(data)) for name, data in self.strangers.items()}
            evaluation.metrics |= anomaly_numbers(found, others)
            shown = "neg_elbo" if isinstance(subject.model, HasPosterior) else "quadrature_nll"
            evaluation.scores = {"test": found[shown]} | {name: other[shown] for name, other in others.items()}
        evaluation.metrics |= sample_numbers(subject, torch.from_numpy(evaluation.samples["samples"]))
        return evaluation

    @torch.no_grad()
    def draw(self, evaluation: Evaluation, folder: RunFolder) -> None:
        draw_pictures(self.subject, evaluation, folder)
        if isinstance(self.subject.model, HasLatent):
            draw_latent(self.subject, evaluation, folder, self.snapshots)
            if self.subject.data.spec.classes:
                draw_classes(self.subject, evaluation, folder)

    def picture(self, evaluation: Evaluation) -> Image.Image:
        """The first samples, side by side."""
        return sheet(evaluation.samples["samples"][:100], 10)

    def _pictures(self, data: Any) -> Batch:
        return data.test[: self.subject.settings.evaluation.num_points].batch()
