"""The step loop. It knows a model only by `loss(batch)`, `validate(batch)` and its weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genexp import checkpoint
from genexp.artifacts import RunFolder
from genexp.average import Average
from genexp.budget import Budget, Stopwatch
from genexp.data.base import Batch, Dataset, Stream
from genexp.device import autocast, choose_precision
from genexp.errors import UserError, unknown
from genexp.models.base import GenerativeModel, Terms
from genexp.progress import Interrupts, Reporter
from genexp.schedule import schedule
from genexp.settings import TrainerSettings

INITIAL_EXAMPLES = 16_384  # what a model may look at before its first step
Validate = Callable[[GenerativeModel, Batch], Terms]
VALIDATION_SEED = 0  # of the random numbers in every held-out loss, so that two of them differ by the model alone


@dataclass
class Position:
    """Where training stands. `seconds` is training time; `best` the lowest monitored value and where it was seen."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_step: int = 0
    best_loss: float = math.inf


def fit(
    model: GenerativeModel,
    data: Dataset,
    settings: TrainerSettings,
    folder: RunFolder,
    seed: int,
    state: dict[str, Any] | None = None,
    validate: Validate = GenerativeModel.validate,
) -> Position:
    """Train `model` in place until a budget is spent; afterwards it holds the best weights by what is monitored.

    Args:
        state: a checkpoint of the same run to go on from, exactly; None begins anew.
        validate: the held-out terms of a model on a batch; the one called `settings.monitor` says which weights are best.

    Raises:
        UserError: the loss is no longer finite.
        Interrupted: Ctrl-C or TERM; the checkpoint is written.
    """
    device = next(model.parameters()).device
    precision = choose_precision(settings.precision, device)
    stream = data.train_stream(settings.batch_size, seed)
    heldout = heldout_batch(data, settings, seed)
    budget = Budget.of(settings, stream)
    if state is None:
        model.initialise(data.train_stream(INITIAL_EXAMPLES, seed).next())
    training = Training(model, settings, stream, folder, validate)
    if state is not None:
        training.restore(state)
    position, window, optimizer = training.position, training.window, training.optimizer
    compute_loss = torch.compile(model.loss) if settings.compile else model.loss
    clock = Stopwatch(position.seconds)
    model.train()

    with Interrupts() as interrupts, Reporter(folder, budget.steps) as report:
        while not budget.spent(position.step, clock.seconds) and not interrupts.requested:
            rate = schedule(settings.schedule, budget.progress(position.step, clock.seconds), settings.warmup)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * rate.factor
                group["betas"] = (rate.beta1 or settings.betas[0], settings.betas[1])

            batch = stream.next()
            with autocast(device, precision):
                terms = compute_loss(batch)
            optimizer.zero_grad(set_to_none=True)
            terms["loss"].backward()
            if settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()

            position.step += 1
            training.average.update(position.step)
            window.add(terms)
            if position.step % settings.log_every == 0:
                position.seconds = clock.seconds
                pace = position.step * settings.batch_size / position.seconds
                losses = training.losses()
                line = {"step": position.step, "seconds": position.seconds, **losses}
                folder.log_history({**line, "lr": settings.lr * rate.factor, "samples_per_second": pace})
                report.step(position.step, position.seconds, losses["loss"], pace)
            if position.step % settings.eval_every == 0:
                with clock.paused():
                    report.heldout(position.step, clock.seconds, training.evaluate(heldout, clock.seconds))
            if position.step % settings.checkpoint_every == 0:
                with clock.paused():
                    position.seconds = clock.seconds
                    training.save()

    clock.stop()
    position.seconds = clock.seconds
    if not interrupts.requested and position.step != training.evaluated_at:
        training.evaluate(heldout, position.seconds)
    training.save()
    interrupts.raise_if_requested()
    model.load_state_dict(checkpoint.load(folder.checkpoints / "best.pt", device)["model"])
    model.eval()
    return position


def heldout_batch(data: Dataset, settings: TrainerSettings, seed: int) -> Batch:
    """The examples that the held-out loss of a run is measured on."""
    return data.heldout(settings.eval_size, seed + 1)


class Training:
    """Everything a training depends on from one step to the next, and how it is saved, restored and judged."""

    def __init__(
        self, model: GenerativeModel, settings: TrainerSettings, stream: Stream, folder: RunFolder, validate: Validate
    ) -> None:
        self.model, self.settings, self.stream, self.folder, self.validate = model, settings, stream, folder, validate
        self.optimizer = make_optimizer(model, settings)
        self.average = Average(model, settings.ema)
        self.position = Position()
        self.window = LossWindow()
        self.evaluated_at = -1

    def save(self) -> None:
        """checkpoints/last.pt; refused when something in it is not finite, so that the last one stays good."""
        self.check_finite()
        for name, weights in self.model.named_parameters():
            if not torch.isfinite(weights).all():
                raise self._diverged(self.position.step, f"the weights {name} are")
        state = {
            "position": vars(self.position),
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "stream": self.stream.state_dict(),
            "window": self.window.terms,
            "random": checkpoint.random_state(),
        }
        checkpoint.save(self.folder.checkpoints / "last.pt", state)

    def restore(self, state: dict[str, Any]) -> None:
        """Put everything back as `save` found it."""
        self.position = Position(**state["position"])
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stream.load_state_dict(state["stream"])
        self.window.terms = state["window"]
        checkpoint.set_random_state(state["random"])

    @torch.no_grad()
    def evaluate(self, heldout: Batch, seconds: float) -> float:
        """The held-out loss, always with the same random numbers; checkpoints/best.pt when it is the lowest yet."""
        self.check_finite()
        model, position, device = self.average.model, self.position, heldout.x.device
        model.eval()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(VALIDATION_SEED)
            with autocast(device, choose_precision(self.settings.precision, device)):
                terms = {f"heldout/{name}": float(value) for name, value in self.validate(model, heldout).items()}
        self.model.train()
        self.evaluated_at = position.step
        monitored = f"heldout/{self.settings.monitor}"
        if monitored not in terms:
            raise unknown("trainer.monitor", self.settings.monitor, [name.removeprefix("heldout/") for name in terms])
        value = terms[monitored]
        if not math.isfinite(value):
            raise self._diverged(position.step, f"the held-out {self.settings.monitor} is {value},")
        self.folder.log_history({"step": position.step, "seconds": seconds, **terms})
        best = self.folder.checkpoints / "best.pt"
        if value < position.best or not best.exists():
            position.best, position.best_step, position.best_loss = value, position.step, terms["heldout/loss"]
            checkpoint.save(best, {"step": position.step, "model": model.state_dict(), **terms})
        return terms["heldout/loss"]

    def losses(self) -> dict[str, float]:
        """The mean of every loss term since the last call."""
        self.check_finite()
        return self.window.empty()

    def check_finite(self) -> None:
        """UserError that names the first step whose loss is not finite."""
        bad = self.window.first_not_finite()
        if bad is not None:
            step = self.position.step - len(self.window.terms) + 1 + bad
            raise self._diverged(step, f"the loss is {float(self.window.terms[bad]['loss'])},")

    def _diverged(self, step: int, what: str) -> UserError:
        last, kept = self.folder.checkpoints / "last.pt", "no checkpoint had been written yet"
        if last.exists():
            kept = f"the last good checkpoint is of step {checkpoint.load(last)['position']['step']}: {last}"
        return UserError(f"step {step}: {what} not finite; {kept}", hint="try a smaller trainer.lr, or trainer.clip_norm=1")


class LossWindow:
    """The loss terms of the latest steps, left on the device until somebody asks."""

    def __init__(self) -> None:
        self.terms: list[dict[str, Tensor]] = []

    def add(self, terms: dict[str, Tensor]) -> None:
        self.terms.append({name: value.detach() for name, value in terms.items()})

    def first_not_finite(self) -> int | None:
        if not self.terms:
            return None
        finite = torch.isfinite(torch.stack([terms["loss"] for terms in self.terms]))
        return None if bool(finite.all()) else int((~finite).nonzero()[0])

    def empty(self) -> dict[str, float]:
        """The mean of each term; forgets them."""
        means = {name: float(torch.stack([terms[name] for terms in self.terms]).mean()) for name in self.terms[0]}
        self.terms = []
        return means


def make_optimizer(model: nn.Module, settings: TrainerSettings) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    return kind(trained, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=True)
