"""`fitter = "em"`: expectation maximisation."""

import math
from typing import Any

from genexp.data.base import Batch, Dataset
from genexp.fit.base import Every, Fitter, fitters
from genexp.fit.whole import whole
from genexp.models.base import GenerativeModel, Terms
from genexp.optim.schedule import Rate
from genexp.settings import TrainerSettings


@fitters.register("em")
class EM(Fitter):
    """θ ← argmax_θ' E_{p(z|x;θ)}[ln p(x, z; θ')] over the whole training set, so that its likelihood never falls.

    The model does it: `em_step(batch)` returns the terms before the update, the mean −ln p(x) under "loss". Training has
    finished once a step gains less than the model's `tolerance`, in nats per example. `examples` of the model is how many are
    drawn, once, from a data set that would draw them anew.

    Source: Dempster, Laird & Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm (1977).
    """

    advice = "try a larger model.ridge"

    def __init__(self, model: GenerativeModel, data: Dataset, settings: TrainerSettings, seed: int) -> None:
        super().__init__(model, data, settings, seed)
        self.stream = whole(data, model.examples, seed)
        self.before = math.inf

    @property
    def every(self) -> Every:
        """After each step, which is a pass over everything, the losses are logged and the held-out ones found."""
        return Every(1, 1, self.settings.checkpoint_every)

    def step(self, batch: Batch, rate: Rate, number: int) -> Terms:
        terms = self.trained.em_step(batch)
        loss = float(terms["loss"])
        self.finished = self.before - loss < self.trained.tolerance
        self.before = loss
        return terms

    def state_dict(self) -> dict[str, Any]:
        return {"em": {"before": self.before, "finished": self.finished}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before, self.finished = state["em"]["before"], state["em"]["finished"]
