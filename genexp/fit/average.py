"""An exponential moving average (EMA) of a model's weights."""

import copy

import torch

from genexp.models.base import GenerativeModel


class Average:
    """θ̄ ← d θ̄ + (1−d) θ after each step, with d = min(decay, (1+step)/(10+step)) so that early steps are soon forgotten.

    Only what is trained is averaged; buffers, and weights that do not move, are taken over whenever `model` is asked for.
    """

    def __init__(self, trained: GenerativeModel, decay: float) -> None:
        self.trained = trained
        self.decay = decay
        self._averaged = copy.deepcopy(trained).requires_grad_(False).eval() if decay > 0 else trained
        pairs = list(zip(self._averaged.parameters(), trained.parameters(), strict=True))
        self._moving = [pair for pair in pairs if pair[1].requires_grad]
        self._still = [pair for pair in pairs if not pair[1].requires_grad]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`, counted from 1."""
        if self.decay == 0:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged, current = zip(*self._moving, strict=True)
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)

    @property
    @torch.no_grad()
    def model(self) -> GenerativeModel:
        """What to evaluate: a second model that holds θ̄, or the trained one itself for decay 0."""
        if self.decay > 0:
            buffers = zip(self._averaged.buffers(), self.trained.buffers(), strict=True)
            for averaged, current in (*self._still, *buffers):
                averaged.resize_(current.shape).copy_(current)  # what is counted may be of any length
        return self._averaged
