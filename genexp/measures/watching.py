"""What is followed while a model trains: the held-out terms, and where held-out examples lie in a latent plane."""

from typing import Any

from genexp.data.base import Batch
from genexp.fit.validation import Watch
from genexp.measures.record import terms
from genexp.models.base import GenerativeModel, Terms
from genexp.subject import Subject

WATCHED = 2_000  # held-out examples whose way through the latent plane is filmed


class Watching(Watch):
    """Follows the training of a subject's model, whose `snapshots` it fills."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.terms = terms.met_by(subject)
        self.monitor = self.terms[0].name if self.terms else "loss"

    def validate(self, model: GenerativeModel, batch: Batch) -> Terms:
        """The model's own held-out terms, and those beside them whose needs are met."""
        own = model.validate(batch)
        return {**own, **{term.name: term.function(self.subject, model, batch, own) for term in self.terms}}

    def observe(self, model: GenerativeModel, batch: Batch, step: int) -> None:
        """Where the held-out examples lie in a latent plane."""
        if "plane" in self.subject.can:
            label = None if batch.label is None else batch.label[:WATCHED]
            self.subject.snapshots.append((step, model.encode(batch.x[:WATCHED], label).half().cpu()))  # type: ignore[operator]

    def state_dict(self) -> dict[str, Any]:
        return {"snapshots": self.subject.snapshots}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.subject.snapshots[:] = [(step, z) for step, z in state.get("snapshots", ())]
