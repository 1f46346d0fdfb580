"""An exponential moving average (EMA) of a model's weights."""

import copy

import torch

from genexp.models.base import GenerativeModel


class Average:
    """θ̄ ← d θ̄ + (1−d) θ after each step, with d = min(decay, (1+step)/(10+step)) so that early steps are soon forgotten.

    `model` is what to evaluate: a second model that holds θ̄ (buffers are copied), or the trained one itself for decay 0.
    """

    def __init__(self, trained: GenerativeModel, decay: float) -> None:
        self.trained = trained
        self.decay = decay
        self.model = copy.deepcopy(trained).requires_grad_(False).eval() if decay > 0 else trained

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`, counted from 1."""
        if self.decay == 0:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(self.trained.parameters()), 1 - decay)
        for averaged, current in zip(self.model.buffers(), self.trained.buffers(), strict=True):
            averaged.copy_(current)
