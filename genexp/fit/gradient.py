"""`fitter = "gradient"`: descent along the gradients of the loss of one batch after another."""

from typing import Any

from torch import nn

from genexp.data.base import Batch, Dataset, Repeating
from genexp.fit.average import Average
from genexp.fit.base import Fitter, fitters
from genexp.fit.step import make_step
from genexp.machine.device import choose_precision
from genexp.models.base import GenerativeModel, Terms
from genexp.optim.adam import Adam
from genexp.optim.schedule import Rate
from genexp.seeds import seed_for
from genexp.settings import TrainerSettings


@fitters.register("gradient")
class Gradient(Fitter):
    """Adam on ∇_θ loss(batch), and a moving average of the weights that it passes through."""

    advice = "try a smaller trainer.lr, or trainer.clip_norm=1"
    first_advice = "no weight had been moved yet: the data, or their log density where the model samples, are not finite"

    def __init__(self, model: GenerativeModel, data: Dataset, settings: TrainerSettings, seed: int) -> None:
        super().__init__(model, data, settings, seed)
        self.stream = data.train_stream(settings.batch_size, seed_for(seed, "data"))

    @property
    def model(self) -> GenerativeModel:
        return self.average.model

    def begin(self, new: bool) -> None:
        if new:
            self.trained.initialise(self.data.first_look(self.trained.first_look, seed_for(self.seed, "first look")))
        self.optimizer = make_optimizer(self.trained, self.settings)
        self.average = Average(self.trained, self.settings.ema)

    def ready(self) -> None:
        if isinstance(self.stream, Repeating):
            self.stream.prepare(self.trained.reduce)
        precision = choose_precision(self.settings.precision, self.trained.device)
        self._step = make_step(self.trained, self.optimizer, self.settings, precision)

    def step(self, batch: Batch, rate: Rate, number: int) -> Terms:
        terms = self._step(batch, rate)
        self.average.update(number)
        return terms

    def facts(self) -> dict[str, float]:
        return {"lr": self.optimizer.group["lr"]}

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def make_optimizer(model: nn.Module, settings: TrainerSettings) -> Adam:
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    decoupled = settings.optimizer == "adamw"
    return Adam(trained, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, decoupled=decoupled)
