"""One step of training: the gradients of the loss, and Adam's update of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genexp.data.base import Batch
from genexp.errors import UserError
from genexp.fit.objective import Objective, make_objective
from genexp.machine.device import autocast
from genexp.machine.distributed import world
from genexp.models.base import GenerativeModel, Terms
from genexp.optim.adam import Adam
from genexp.optim.schedule import Rate
from genexp.settings import TrainerSettings


@dataclass
class Step:
    """θ ← θ − η m̂ / (√v̂ + ε), with m̂ and v̂ the running moments of ∇_θ loss(batch): loss, gradients, clipping, Adam."""

    objective: Objective
    optimizer: Adam
    settings: TrainerSettings
    precision: str

    def __post_init__(self) -> None:
        self.weights: list[Tensor] = self.optimizer.weights
        self.device = self.weights[0].device

    def __call__(self, batch: Batch, rate: Rate) -> Terms:
        """Train on `batch` at that rate; the terms of the loss before."""
        self.optimizer.follow(rate)
        with compiling() if self.settings.compile else nullcontext():
            terms = self.update(batch)
        self.objective.after_step()
        return terms

    def update(self, batch: Batch) -> Terms:
        with autocast(self.device, self.precision):
            terms = self.objective(batch)
        self.optimizer.zero_grad()
        terms["loss"].backward()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.settings.clip_norm)
        self.optimizer.step()
        return terms


class CompiledStep(Step):
    """The same step compiled whole, so that only kernels are left: no autograd engine, and no Python between them.

    Adam's state is the same, so that a checkpoint serves either kind of step; it is to be restored before.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lr, self._beta1 = torch.tensor(0.0, device=self.device), torch.tensor(0.0, device=self.device)
        for weights in self.weights:
            self.optimizer.moments(weights)  # which a trace cannot make
        self._run = torch.compile(self._whole)

    def update(self, batch: Batch) -> Terms:
        self._lr.fill_(self.optimizer.group["lr"])
        self._beta1.fill_(self.optimizer.group["betas"][0])
        return self._run(batch)

    def _whole(self, batch: Batch) -> Terms:
        with autocast(self.device, self.precision):
            terms = self.objective(batch)
        gradients = torch.autograd.grad(terms["loss"], self.weights, allow_unused=True)
        reached = [index for index, gradient in enumerate(gradients) if gradient is not None]
        found = [gradients[index] for index in reached]
        if self.settings.clip_norm is not None:
            norm = torch.stack([gradient.square().sum() for gradient in found]).sum().sqrt()
            found = [gradient * torch.clamp(self.settings.clip_norm / (norm + 1e-6), max=1) for gradient in found]
        weights = [self.weights[index] for index in reached]
        self.optimizer.update(weights, found, lr=self._lr, beta1=self._beta1, foreach=True, capturable=True)
        return {name: value.detach() for name, value in terms.items()}


def make_step(model: GenerativeModel, optimizer: Adam, settings: TrainerSettings, precision: str) -> Step:
    """The step that `settings` ask for.

    Of `trainer.compile`, only the loss is compiled among several processes, whose gradients meet outside of it, and by a torch
    that cannot trace gradients.
    """
    if not settings.compile:
        return Step(make_objective(model, model.loss), optimizer, settings, precision)
    if world().size > 1 or not hasattr(torch._dynamo.config, "trace_autograd_ops"):
        return Step(make_objective(model, torch.compile(model.loss)), optimizer, settings, precision)
    return CompiledStep(make_objective(model, model.loss), optimizer, settings, precision)


@contextmanager
def compiling() -> Iterator[None]:
    """Where torch.compile works, also on gradients. UserError when it cannot, or would have to at every step."""
    names = ("trace_autograd_ops", "fail_on_recompile_limit_hit")
    known = {name: True for name in names if hasattr(torch._dynamo.config, name)}
    try:
        with torch._dynamo.config.patch(known):
            yield
    except (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit) as failure:
        cause = getattr(failure, "inner_exception", failure)
        why = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise UserError(f"trainer.compile=true: {why}", hint="trainer.compile=false") from failure
