"""`fitter = "chain"`: Markov chains run."""

from genexp.data.base import Batch, Dataset
from genexp.fit.base import Fitter, fitters
from genexp.fit.whole import Whole
from genexp.models.base import GenerativeModel, Terms
from genexp.optim.schedule import Rate
from genexp.seeds import seed_for
from genexp.settings import TrainerSettings

LOOKED_AT = 8_192  # probes, or examples, by which the first places are as wide as the data


@fitters.register("chain")
class Chain(Fitter):
    """Each step is a transition of all chains, `transition(batch)` of the model, of which it makes `transitions`.

    Nothing is learnt from examples: a batch brings the log density, and as many rows as there are chains. Where the chains are,
    their step size and what they have passed through are buffers of the model, so that a checkpoint holds all of it; what is
    kept is the last state there is, not that of the lowest energy.
    """

    advice = "try a smaller model.kernel.step_size"
    keeps_last = True

    def __init__(self, model: GenerativeModel, data: Dataset, settings: TrainerSettings, seed: int) -> None:
        super().__init__(model, data, settings, seed)
        self.last_step = self.transitions = model.transitions
        self.stream = Whole(data.examples(model.examples, seed_for(seed, "chains")))

    def begin(self, new: bool) -> None:
        if new:
            self.trained.initialise(self.data.first_look(LOOKED_AT, seed_for(self.seed, "first look")))

    def step(self, batch: Batch, rate: Rate, number: int) -> Terms:
        self.finished = number >= self.transitions
        return self.trained.transition(batch)
