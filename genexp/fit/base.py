"""What a fitter is: how a model comes to its weights. The loop around it (`genexp.fit.loop`) is the same for all of them."""

from dataclasses import dataclass
from typing import Any

from genexp.data.base import Batch, Dataset, Stream
from genexp.models.base import GenerativeModel, Terms
from genexp.optim.schedule import Rate
from genexp.registry import Registry
from genexp.settings import TrainerSettings


@dataclass(frozen=True)
class Every:
    """After how many steps each the losses are logged, the held-out ones found, and a checkpoint written."""

    log: int
    evaluate: int
    checkpoint: int


class Fitter:
    """Changes the weights of a model, a step at a time, in place.

    Told when built: the model, its data, the trainer's settings and the run's seed. `stream` is what it learns from; once
    `finished` says so there is nothing left to do, whatever the budget. A model names its own: `fitter = "em"`.
    """

    stream: Stream
    finished: bool = False
    last_step: int | None = None  # with which it will have finished, where that is known beforehand
    advice: str | None = None  # what to try where a number is no longer finite
    first_advice: str | None = None  # where it was not finite in the first step, if that is something else

    def __init__(self, model: GenerativeModel, data: Dataset, settings: TrainerSettings, seed: int) -> None:
        self.trained, self.data, self.settings, self.seed = model, data, settings, seed

    @property
    def model(self) -> GenerativeModel:
        """What is evaluated and kept: the model that is trained, or an average of what it was."""
        return self.trained

    @property
    def every(self) -> Every:
        return Every(self.settings.log_every, self.settings.eval_every, self.settings.checkpoint_every)

    @property
    def keeps_last(self) -> bool:
        """Whether the last weights are kept, whatever is monitored."""
        return self.settings.keep == "last"

    def begin(self, new: bool) -> None:
        """Before the first step, or before the state of an earlier training is put back: the first look at the data, if `new`."""
        if new:
            self.trained.initialise(self.stream.next())

    def ready(self) -> None:
        """The weights are those that the next step will change."""

    def step(self, batch: Batch, rate: Rate, number: int) -> Terms:
        """Step `number`, from 1: learn from `batch`; the terms of the objective before, "loss" among them."""
        raise NotImplementedError

    def facts(self) -> dict[str, float]:
        """What else belongs into a line of the history."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights and the stream."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a whole checkpoint."""


fitters: Registry[Fitter] = Registry("fitter", "genexp.fit")
