"""`fitter = "none"`: nothing is learnt step by step."""

from genexp.data.base import Dataset
from genexp.fit.base import Fitter, fitters
from genexp.fit.whole import whole
from genexp.models.base import GenerativeModel
from genexp.settings import TrainerSettings


@fitters.register("none")
class Nothing(Fitter):
    """What there is to fit, the model fits at its first look, which is at the whole training set. A sampler fits nothing."""

    finished = True

    def __init__(self, model: GenerativeModel, data: Dataset, settings: TrainerSettings, seed: int) -> None:
        super().__init__(model, data, settings, seed)
        self.stream = whole(data, model.examples, seed)
