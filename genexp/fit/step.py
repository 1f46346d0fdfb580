"""One step of training: the gradients of the loss, and Adam's update of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from genexp.data.base import Batch
from genexp.errors import UserError
from genexp.fit.objective import Objective, make_objective
from genexp.fit.schedule import Rate
from genexp.machine.device import autocast
from genexp.machine.distributed import world
from genexp.models.base import GenerativeModel, Terms
from genexp.settings import TrainerSettings


@dataclass
class Step:
    """θ ← θ − η m̂ / (√v̂ + ε), with m̂ and v̂ the running moments of ∇_θ loss(batch): loss, gradients, clipping, Adam."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    settings: TrainerSettings
    precision: str

    def __post_init__(self) -> None:
        (self.group,) = self.optimizer.param_groups
        self.weights: list[Tensor] = self.group["params"]
        self.device = self.weights[0].device

    def __call__(self, batch: Batch, rate: Rate) -> Terms:
        """Train on `batch` at that rate; the terms of the loss before."""
        self.group["lr"] = self.settings.lr * rate.factor
        self.group["betas"] = (rate.beta1 or self.settings.betas[0], self.settings.betas[1])
        with compiling() if self.settings.compile else nullcontext():
            terms = self.update(batch)
        self.objective.after_step()
        return terms

    def update(self, batch: Batch) -> Terms:
        with autocast(self.device, self.precision):
            terms = self.objective(batch)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.settings.clip_norm)
        self.optimizer.step()
        return terms


class CompiledStep(Step):
    """The same step compiled whole, so that only kernels are left: no autograd engine, and no Python between them.

    Adam's state stays where torch.optim keeps it, so that a checkpoint serves either kind of step; it is to be restored before.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lr, self._beta1 = torch.tensor(0.0, device=self.device), torch.tensor(0.0, device=self.device)
        for weights in self.weights:
            if not self.optimizer.state[weights]:
                moments = {"exp_avg": torch.zeros_like(weights), "exp_avg_sq": torch.zeros_like(weights)}
                self.optimizer.state[weights] = {"step": torch.zeros((), device=self.device), **moments}
        self._state = [self.optimizer.state[weights] for weights in self.weights]
        self._run = torch.compile(self._whole)

    def update(self, batch: Batch) -> Terms:
        self._lr.fill_(self.group["lr"])
        self._beta1.fill_(self.group["betas"][0])
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
        with torch.no_grad():
            adam(
                [self.weights[index] for index in reached],
                found,
                [self._state[index]["exp_avg"] for index in reached],
                [self._state[index]["exp_avg_sq"] for index in reached],
                [],
                [self._state[index]["step"] for index in reached],
                foreach=True,
                capturable=True,
                decoupled_weight_decay=self.settings.optimizer == "adamw",
                amsgrad=False,
                beta1=self._beta1,
                beta2=self.settings.betas[1],
                lr=self._lr,
                weight_decay=self.settings.weight_decay,
                eps=self.group["eps"],
                maximize=False,
            )
        return {name: value.detach() for name, value in terms.items()}


def make_step(model: GenerativeModel, optimizer: torch.optim.Optimizer, settings: TrainerSettings, precision: str) -> Step:
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
