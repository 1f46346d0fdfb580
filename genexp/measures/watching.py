"""What is followed while a model trains: the held-out terms, where held-out examples lie in a latent plane, and the weights."""

import math
from typing import Any

from genexp.data.base import Batch
from genexp.fit.validation import Watch
from genexp.measures.record import terms
from genexp.models.base import GenerativeModel, Terms
from genexp.subject import Subject

WATCHED = 2_000  # held-out examples whose way through the latent plane is filmed
DOUBLING = 3  # states that are kept while the number of steps doubles: 38 in 10,000 steps


def is_kept(step: int) -> bool:
    """Whether the weights after `step` are kept for a film: after 0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, … steps, whatever the
    budget is, so that a resumed run keeps what an uninterrupted one does.
    """
    return step == 0 or step == round(2 ** (round(DOUBLING * math.log2(step)) / DOUBLING))


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

    def wants(self, step: int) -> bool:
        figures = self.subject.settings.figures
        return figures.learning and figures.enabled and is_kept(step)

    def keep(self, model: GenerativeModel, step: int) -> None:
        """For the film of how it learns."""
        weights = {name: values.detach().to("cpu", copy=True) for name, values in model.state_dict().items()}
        self.subject.states.append((step, weights))

    def state_dict(self) -> dict[str, Any]:
        return {"snapshots": self.subject.snapshots, "states": self.subject.states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.subject.snapshots[:] = [(step, z) for step, z in state.get("snapshots", ())]
        self.subject.states[:] = [(step, weights) for step, weights in state.get("states", ())]
