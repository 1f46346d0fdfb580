"""The step loop: what it promises about randomness, averages, budgets, failures and going on."""

import itertools
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genexp.data.base import Batch, DataSpec, EpochStream, FreshStream
from genexp.errors import Interrupted, UserError
from genexp.fit.average import Average
from genexp.fit.budget import Budget, Stopwatch
from genexp.fit.gradient import make_optimizer
from genexp.fit.interrupts import Interrupts
from genexp.fit.loop import fit as fit_
from genexp.fit.progress import Reporter
from genexp.fit.step import make_step
from genexp.fit.validation import Watch
from genexp.folder import checkpoint
from genexp.folder.run_folder import RunFolder
from genexp.models.base import GenerativeModel
from genexp.optim.schedule import schedule
from genexp.settings import TrainerSettings

STEPS = 30


class Normal:
    """x ~ N((1, −2), I): fresh, or a fixed set of 40."""

    spec = DataSpec(shape=(2,))
    study = "none"
    device = torch.device("cpu")

    def __init__(self, fresh: bool = True) -> None:
        self.fresh = fresh

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, 2, generator=generator) + torch.tensor([1.0, -2.0])

    def train_stream(self, batch_size: int, seed: int) -> Any:
        if self.fresh:
            return FreshStream(self, batch_size, seed)
        return EpochStream(self.sample(40, torch.Generator().manual_seed(9)), None, batch_size, seed)

    def first_look(self, size: int, seed: int) -> Batch:
        return self.train_stream(size, seed).next()

    examples = first_look

    def heldout(self, size: int, seed: int) -> Batch:
        return Batch(self.sample(size, torch.Generator().manual_seed(seed)))


class Noisy(GenerativeModel):
    """A model with noise in its loss, batch statistics in its buffers and a switch to break it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 2))
        self.breaks_at: int | None = None
        self.calls = 0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        self.calls += 1
        noise = torch.randn_like(batch.x)
        loss = (self.net(batch.x + 0.1 * noise) - batch.x).square().mean()
        if self.training and self.calls == self.breaks_at:
            loss = loss * float("nan")
        return {"loss": loss, "noise": noise.square().mean()}


def fit(
    model: GenerativeModel, data: Any, settings: TrainerSettings, run: RunFolder, seed: int, state: Any = None, watch: Any = None
) -> Any:
    with Interrupts() as interrupts:
        return fit_(model, data, settings, run, seed, interrupts, state, watch)


def settings(**keys: Any) -> TrainerSettings:
    basis = {"max_steps": STEPS, "batch_size": 8, "lr": 0.01, "ema": 0.9, "eval_every": 10, "eval_size": 64}
    return TrainerSettings(**{**basis, "log_every": 4, "checkpoint_every": 7, "schedule": "cosine"} | keys)


def folder(tmp_path: Path, name: str) -> RunFolder:
    return RunFolder.create("test", str(tmp_path / name))


def weights(run: RunFolder) -> dict[str, Any]:
    return checkpoint.load(run.checkpoints / "last.pt")


def assert_same_state(one: Any, other: Any, path: str = "") -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            if key not in ("seconds", "cpu_seconds"):
                assert_same_state(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same_state(*pair, f"{path}[{index}]")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("stop", [7, 10, 13, STEPS])
def test_going_on_equals_never_having_stopped(tmp_path: Path, fresh: bool, stop: int) -> None:
    """Bit for bit: weights, averages, moments, random states, data position, and the history."""
    whole = folder(tmp_path, "whole")
    torch.manual_seed(1)
    fit(Noisy(), Normal(fresh), settings(), whole, seed=3)

    parts = folder(tmp_path, "parts")
    torch.manual_seed(1)
    with pytest.raises(Interrupted) as interrupted:
        fit(InterruptedNoisy(stop), Normal(fresh), settings(), parts, seed=3)
    assert interrupted.value.exit_code == 128 + signal.SIGTERM
    torch.manual_seed(999)  # whatever happened in between
    state = weights(parts)
    assert state["position"]["step"] == stop
    parts.cut_history(stop)
    fit(Noisy(), Normal(fresh), settings(), parts, seed=3, state=state)

    assert_same_state(weights(whole), weights(parts))
    assert strip(whole.history()) == strip(parts.history())


class InterruptedNoisy(Noisy):
    """Sends its own process TERM during step `stop`."""

    def __init__(self, stop: int) -> None:
        super().__init__()
        self.stop = stop

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        if self.training and self.calls + 1 == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(batch)


TIMES = ("seconds", "cpu_seconds", "samples_per_second")  # of a line of the history


def strip(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in line.items() if key not in TIMES} for line in history]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(seed)
        run = folder(tmp_path, name)
        fit(Noisy(), Normal(), settings(), run, seed)
        runs.append(weights(run)["model"])
    assert_same_state(runs[0], runs[1])
    assert not torch.equal(runs[0]["net.0.weight"], runs[2]["net.0.weight"])


def test_looking_does_not_touch(tmp_path: Path) -> None:
    """How often a run evaluates, logs and saves changes nothing in what it learns."""
    states = []
    for name, often in (("rarely", 1000), ("often", 3)):
        torch.manual_seed(1)
        run = folder(tmp_path, name)
        fit(Noisy(), Normal(), settings(eval_every=often, log_every=often, checkpoint_every=often), run, seed=3)
        states.append(weights(run))
    for part in ("model", "average", "optimizer", "random", "stream"):
        assert_same_state(states[0][part], states[1][part])


def test_what_is_judged_is_the_average_of_the_weights_along_the_way(tmp_path: Path) -> None:
    """The EMA that a run leaves behind, recomputed from the weights at every step."""
    model, seen = Noisy(), []
    start = model.net[0].weight.detach().clone()

    def remember(layer: nn.Linear, _: Any) -> None:
        if layer.training:  # not the average, which is a copy with the same hook
            seen.append(layer.weight.detach().clone())

    model.net[0].register_forward_pre_hook(remember)
    run = folder(tmp_path, "run")
    fit(model, Normal(), settings(), run, seed=0)
    after = [*seen[1:], weights(run)["model"]["net.0.weight"]]  # the weights after steps 1 to 30
    assert len(after) == STEPS
    expected = start
    for step, current in enumerate(after, start=1):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * current
    assert torch.allclose(weights(run)["average"]["net.0.weight"], expected, atol=1e-6)
    assert not torch.allclose(expected, after[-1], atol=1e-4)


@pytest.mark.parametrize("name", ["cosine", "one_cycle", "linear"])
def test_the_schedule_reaches_the_optimizer(tmp_path: Path, name: str) -> None:
    run = folder(tmp_path, "run")
    fit(Noisy(), Normal(), settings(schedule=name, warmup=0.3, lr=0.02, log_every=1), run, seed=0)
    (group,) = weights(run)["optimizer"]["param_groups"]
    last = schedule(name, (STEPS - 1) / STEPS, warmup=0.3)
    assert group["lr"] == pytest.approx(0.02 * last.factor)
    assert group["betas"][0] == pytest.approx(last.beta1 or 0.9)
    logged = [line["lr"] for line in run.history() if "lr" in line]
    assert logged == pytest.approx([0.02 * schedule(name, step / STEPS, warmup=0.3).factor for step in range(STEPS)])


def test_adam_steps_by_the_learning_rate_it_is_given(tmp_path: Path) -> None:
    """Adam's first step moves every weight by the learning rate, whatever the gradient; AdamW also decays it."""
    for optimizer, decay in (("adam", 0.0), ("adamw", 0.5)):
        model = Noisy()
        before = model.net[3].weight.detach().clone()
        run = folder(tmp_path, optimizer)
        fit(model, Normal(), settings(max_steps=1, optimizer=optimizer, weight_decay=decay, schedule="constant", lr=0.03), run, 0)
        moved = weights(run)["model"]["net.3.weight"] - before * (1 - 0.03 * decay)
        assert torch.allclose(moved.abs(), torch.full_like(moved, 0.03), rtol=1e-3)


def test_a_monitor_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    run, model = folder(tmp_path, "run"), Noisy()
    with pytest.raises(UserError, match=r"did you mean 'loss'"):
        fit(model, Normal(), settings(monitor="lost"), run, seed=0)
    assert not run.history()
    assert fit(Noisy(), Normal(), settings(monitor="noise"), folder(tmp_path, "noise"), seed=0).best > 0


def test_a_best_of_a_forgotten_future_is_forgotten(tmp_path: Path) -> None:
    """A checkpoint of step 14 beside a best.pt of step 20, as after a kill: going on ends as if nothing had happened."""
    whole, parts = folder(tmp_path, "whole"), folder(tmp_path, "parts")
    for run in (whole, parts):
        torch.manual_seed(1)
        fit(Noisy(), Normal(), settings(), run, seed=3)
    torch.manual_seed(1)
    early = folder(tmp_path, "early")
    with pytest.raises(Interrupted):
        fit(InterruptedNoisy(14), Normal(), settings(), early, seed=3)
    position = fit(Noisy(), Normal(), settings(), parts, seed=3, state=weights(early))
    kept = checkpoint.load(parts.checkpoints / "best.pt")
    assert kept["step"] == position.best_step == checkpoint.load(whole.checkpoints / "best.pt")["step"]
    assert_same_state(kept["model"], checkpoint.load(whole.checkpoints / "best.pt")["model"])


def test_the_average_is_an_exponential_moving_average() -> None:
    model = Noisy()
    average = Average(model, decay=0.5)
    expected = model.net[0].weight.detach().clone()
    for step in range(1, 30):
        with torch.no_grad():
            model.net[0].weight.add_(torch.randn_like(model.net[0].weight))
            model.net[1].running_mean.fill_(step)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.net[0].weight.detach()
    assert torch.allclose(average.model.net[0].weight, expected, atol=1e-6)
    assert average.model.net[1].running_mean[0] == 29
    assert Average(model, decay=0).model is model


def test_the_model_that_comes_out_is_the_best_average_by_heldout_loss(tmp_path: Path) -> None:
    """A learning rate that ruins everything late: what comes out is what was best before."""
    run, model = folder(tmp_path, "run"), Noisy()
    position = fit(model, Normal(), settings(lr=0.02, schedule="linear", max_steps=60), run, seed=0)
    lines = [line for line in run.history() if "heldout/loss" in line]
    best = min(lines, key=lambda line: line["heldout/loss"])
    assert (position.best_step, position.best) == (best["step"], best["heldout/loss"])
    kept = checkpoint.load(run.checkpoints / "best.pt")
    assert kept["step"] == best["step"]
    assert torch.equal(model.net[0].weight, kept["model"]["net.0.weight"])
    assert not torch.equal(model.net[0].weight, weights(run)["model"]["net.0.weight"])  # the average, not the last weights
    assert not model.training


class Worse(Watch):
    """Finds every evaluation worse than the one before."""

    def __init__(self) -> None:
        self.calls = 0

    def validate(self, model: GenerativeModel, batch: Batch) -> dict[str, Tensor]:
        self.calls += 1
        return {"loss": torch.tensor(float(self.calls))}


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_last_weights_come_out_where_they_are_asked_for(tmp_path: Path, keep: str) -> None:
    run, model = folder(tmp_path, "run"), Noisy()
    position = fit(model, Normal(), settings(keep=keep), run, seed=0, watch=Worse())
    assert (position.best_step == STEPS) == (keep == "last")
    same = torch.equal(model.net[0].weight, weights(run)["average"]["net.0.weight"])
    assert same == (keep == "last")


@pytest.mark.parametrize("breaks_at", [1, 6, 8, 17])
def test_a_loss_that_is_not_finite_stops_and_names_the_step(tmp_path: Path, breaks_at: int) -> None:
    run, model = folder(tmp_path, "run"), Noisy()
    model.breaks_at = breaks_at
    with pytest.raises(UserError, match=f"step {breaks_at}: the loss is nan") as mistake:
        fit(model, Normal(), settings(), run, seed=0)
    assert ("trainer.lr" in (mistake.value.hint or "")) == (breaks_at > 1)  # no rate is to blame before any weight has moved
    last = (breaks_at - 1) // 7 * 7
    if last:
        assert f"the last good checkpoint is of step {last}" in mistake.value.message
        assert all(torch.isfinite(value).all() for value in weights(run)["model"].values())
    else:
        assert "no checkpoint had been written yet" in mistake.value.message
        assert not (run.checkpoints / "last.pt").exists()


def test_epochs_steps_and_seconds_whichever_comes_first(tmp_path: Path) -> None:
    run = folder(tmp_path, "epochs")
    assert fit(Noisy(), Normal(fresh=False), settings(max_steps=None, max_epochs=2), run, seed=0).step == 10
    run = folder(tmp_path, "both")
    assert fit(Noisy(), Normal(fresh=False), settings(max_steps=7, max_epochs=2), run, seed=0).step == 7
    run = folder(tmp_path, "seconds")
    position = fit(Noisy(), Normal(), settings(max_steps=10**9, max_seconds=0.05, schedule="linear"), run, seed=0)
    assert 0.05 <= position.seconds < 30
    with pytest.raises(UserError, match="without epochs"):
        fit(Noisy(), Normal(), settings(max_epochs=1), folder(tmp_path, "fresh"), seed=0)


def test_no_steps_at_all_is_a_run_too(tmp_path: Path) -> None:
    run = folder(tmp_path, "none")
    assert fit(Noisy(), Normal(), settings(max_steps=0), run, seed=0).step == 0
    assert (run.checkpoints / "best.pt").exists()


def test_an_epoch_shows_every_example_once() -> None:
    stream = EpochStream(torch.arange(12).float()[:, None], torch.arange(12), 4, seed=0)
    epochs = [torch.cat([stream.next().label for _ in range(3)]) for _ in range(2)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(12))
    assert not torch.equal(epochs[0], epochs[1])


def test_gradients_are_clipped_by_their_norm() -> None:
    """Together they come down to the length of `clip_norm` and keep their direction, as Adam's second moments then show."""
    model = nn.Linear(3, 2).double()
    model.loss = lambda batch: {"loss": 50 * (model(batch.x) - 1).square().sum()}  # type: ignore[method-assign, assignment]
    batch = Batch(torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    weights = [*model.parameters()]
    gradients = torch.autograd.grad(model.loss(batch)["loss"], weights)  # type: ignore[operator]
    length = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    keys = settings(clip_norm=0.5, betas=(0.0, 0.0), lr=1.0)
    assert length > 10
    step = make_step(model, make_optimizer(model, keys), keys, "float32")  # type: ignore[arg-type]
    step(batch, schedule("constant", 0.0, 0.0))
    for parameter, gradient in zip(weights, gradients, strict=True):
        second_moment = step.optimizer.state[parameter]["exp_avg_sq"]
        assert torch.allclose(second_moment, (gradient * 0.5 / length).square(), rtol=1e-5)


def test_a_schedule_follows_the_seconds_of_a_run_that_has_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", lambda: 0.01 * next(ticks))
    run = folder(tmp_path, "run")
    fit(Noisy(), Normal(), settings(max_steps=10**9, max_seconds=4.0, schedule="linear", lr=0.02, log_every=5), run, seed=0)
    lines = [line for line in run.history() if "lr" in line]
    assert len(lines) > 5
    for line in lines:
        assert line["lr"] == pytest.approx(0.02 * (1 - line["seconds"] / 4.0), abs=0.02 * 3 * 0.01 / 4)


def test_seconds_of_the_cpu_are_a_budget_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They end the training and lead the schedule, however much time goes by on the wall."""
    wall, cpu = itertools.count(), itertools.count()
    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", lambda: 10.0 * next(wall))
    monkeypatch.setattr("genexp.fit.budget.time.process_time", lambda: 0.01 * next(cpu))
    run = folder(tmp_path, "run")
    keys = settings(max_steps=10**9, max_seconds=1.0, clock="cpu", schedule="linear", lr=0.02, log_every=5)
    position = fit(Noisy(), Normal(), keys, run, seed=0)
    assert position.cpu_seconds == pytest.approx(1.0, abs=0.05)
    assert position.seconds > 100
    rates = [line["lr"] / 0.02 + line["cpu_seconds"] for line in run.history() if "lr" in line]
    assert len(rates) > 5
    assert rates == pytest.approx([1.0] * len(rates), abs=0.05)


def test_a_resumed_run_has_used_what_it_had_used_of_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a second that half had been used of there is half left; each checkpoint on the way knows how much."""
    wall, cpu = itertools.count(), itertools.count()
    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", lambda: 10.0 * next(wall))
    monkeypatch.setattr("genexp.fit.budget.time.process_time", lambda: 0.02 * next(cpu))
    run, used = folder(tmp_path, "run"), []
    save = run.save_checkpoint
    monkeypatch.setattr(
        run, "save_checkpoint", lambda name, state: (used.append(state.get("position", {}) | {}), save(name, state))
    )
    aside: list[int] = []
    monkeypatch.setattr(run, "put_results_aside", aside.append)
    keys = {"max_steps": 200, "clock": "cpu", "checkpoint_every": 5, "log_every": 1000, "eval_every": 1000}
    half = fit(Noisy(), Normal(), settings(max_seconds=0.5, **keys), run, seed=0)
    used = [position for position in used if position]
    assert used[0]["step"] == 5
    rates = [position["cpu_seconds"] / position["step"] for position in used]
    assert rates == pytest.approx([half.cpu_seconds / half.step] * len(rates), rel=0.3)
    whole = fit(Noisy(), Normal(), settings(max_seconds=1.0, **keys), run, seed=0, state=weights(run))
    assert whole.step == pytest.approx(2 * half.step, rel=0.15)
    assert fit(Noisy(), Normal(), settings(max_seconds=1.0, **keys), run, seed=0, state=weights(run)).step == whole.step
    assert aside == [0, half.step]  # results of a run that goes on are no longer its


def test_what_is_done_in_a_pause_counts_on_neither_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"wall": 100.0, "cpu": 10.0}
    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", lambda: now["wall"])
    monkeypatch.setattr("genexp.fit.budget.time.process_time", lambda: now["cpu"])
    watch = Stopwatch(torch.device("cpu"), 5.0, 1.0)
    now |= {"wall": 102.0, "cpu": 10.5}
    assert (watch.seconds, watch.cpu_seconds) == (7.0, 1.5)
    with watch.paused():
        now |= {"wall": 110.0, "cpu": 14.0}
        assert (watch.seconds, watch.cpu_seconds) == (7.0, 1.5)
    now |= {"wall": 111.0, "cpu": 14.25}
    assert (watch.seconds, watch.cpu_seconds) == (8.0, 1.75)
    watch.stop()
    now |= {"wall": 200.0, "cpu": 50.0}
    assert (watch.seconds, watch.cpu_seconds) == (8.0, 1.75)


def test_a_clock_is_read_when_the_device_has_done_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds of steps that it was still computing are training; three of a look in the pause are not."""
    now, left = [0.0], [2.0]

    def finish(device: torch.device) -> None:
        now[0], left[0] = now[0] + left[0], 0.0

    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(torch.cuda, "synchronize", finish)
    watch = Stopwatch(torch.device("cuda"))
    with watch.paused():
        left[0] = 3.0
    left[0] = 1.5
    watch.stop()
    assert watch.seconds == 3.5


def test_seconds_never_end_a_training_before_its_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", itertools.count(step=100).__next__)
    assert fit(Noisy(), Normal(), settings(max_steps=10, max_seconds=1.0), folder(tmp_path, "run"), seed=0).step == 1


def test_the_pace_is_of_the_examples_that_were_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of 40 gives batches of 40, whatever the batch size."""
    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", itertools.count().__next__)
    run = folder(tmp_path, "run")
    position = fit(Noisy(), Normal(fresh=False), settings(batch_size=4096, log_every=1), run, seed=0)
    assert position.examples == 40 * STEPS
    for line in run.history():
        if "lr" in line:
            assert line["samples_per_second"] == pytest.approx(40 * line["step"] / line["seconds"])


def test_a_young_training_is_rehearsed_once_and_nothing_of_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for name, after in (("with", 0.0), ("without", 1e9)):
        monkeypatch.setattr("genexp.fit.loop.REHEARSED_AFTER", after)
        calls: list[int] = []
        with Interrupts() as interrupts:
            run = folder(tmp_path, name)
            fit_(Noisy(), Normal(), settings(), run, 0, interrupts, rehearse=lambda calls=calls: calls.append(1))
        assert len(calls) == (name == "with")
        states.append(weights(run))
    assert_same_state(*states)


@pytest.mark.parametrize(("after", "calls"), [(10, 1), (40, 0)])
def test_what_soon_ends_is_not_rehearsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: float, calls: int) -> None:
    """Of 100 seconds 90 are more than four times 10; 60 are less than four times 40."""
    monkeypatch.setattr("genexp.fit.budget.time.perf_counter", itertools.count().__next__)
    monkeypatch.setattr("genexp.fit.loop.REHEARSED_AFTER", after)
    called: list[int] = []
    with Interrupts() as interrupts:
        limits = settings(max_steps=None, max_seconds=100.0)
        fit_(Noisy(), Normal(), limits, folder(tmp_path, "run"), 0, interrupts, rehearse=lambda: called.append(1))
    assert len(called) == calls


def test_one_cycle_is_torchs_one_cycle() -> None:
    total = 1000
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=total, pct_start=0.1)
    for step in range(total):
        ours, theirs = schedule("one_cycle", step / total, warmup=0.1), optimizer.param_groups[0]
        assert ours.factor == pytest.approx(theirs["lr"], abs=0.01)
        assert ours.beta1 == pytest.approx(theirs["betas"][0], abs=0.002)
        optimizer.step()
        if step < total - 1:
            reference.step()


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "one_cycle"])
def test_schedules_warm_up_and_come_down(name: str) -> None:
    factors = [schedule(name, progress / 100, warmup=0.2).factor for progress in range(101)]
    assert factors[0] < 0.1
    assert max(factors) == factors[20] == 1
    assert factors == sorted(factors[:21]) + sorted(factors[21:], reverse=True)
    assert factors[-1] == pytest.approx(1 if name == "constant" else 0, abs=1e-5)


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    checkpoint.save(path, {"x": torch.ones(100)})
    assert torch.equal(checkpoint.load(path)["x"], torch.ones(100))
    whole = path.read_bytes()
    for damaged in (whole[:-40], whole[: len(whole) // 2], b"", b"not a checkpoint", json.dumps({}).encode()):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged or not a genexp checkpoint"):
            checkpoint.load(path)
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoint.load(tmp_path / "b.pt")


class Hostile:
    def __reduce__(self) -> Any:
        return (os.system, ("touch executed",))


def test_loading_executes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": checkpoint.FORMAT, "x": Hostile()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="damaged or not"):
        checkpoint.load(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    checkpoint.save(path, {"x": 1})
    with pytest.raises(UserError):
        checkpoint.save(path, {"x": Hostile()})  # what cannot be loaded again is not kept
    assert checkpoint.load(path)["x"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]


# --- where the time goes -------------------------------------------------------------------------------------


def test_profile_is_a_trace_and_names_the_most_expensive_operations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder(tmp_path, "profiled")
    fit(Noisy(), Normal(), settings(profile=True), run, seed=0)
    events = json.loads((run.path / "profile" / "trace.json").read_text())["traceEvents"]
    assert sum(event["name"].startswith("ProfilerStep") and event.get("ph") == "X" for event in events) >= 10
    assert any(event["name"].startswith("aten::") for event in events)
    lines = capsys.readouterr().out.splitlines()
    head = next(number for number, line in enumerate(lines) if "the most expensive operations of 10 steps" in line)
    shares = [float(line.split("%")[0]) for line in lines[head + 1 : head + 11]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 100.5


def test_profile_changes_nothing_of_a_training(tmp_path: Path) -> None:
    states = []
    for profile in (False, True):
        torch.manual_seed(0)
        run = folder(tmp_path, f"profile {profile}")
        fit(Noisy(), Normal(), settings(profile=profile), run, seed=0)
        states.append(weights(run)["model"])
    assert_same_state(*states)


def test_a_profile_is_of_the_steps_that_there_were(tmp_path: Path) -> None:
    """Of thirteen three, by which the times are divided."""
    run = folder(tmp_path, "three")
    fit(Noisy(), Normal(), settings(profile=True, max_steps=13), run, seed=0)
    assert "the most expensive operations of 3 steps" in (run.path / "log.txt").read_text()


@pytest.mark.parametrize("steps", [5, 10])
def test_too_short_a_training_has_no_profile(tmp_path: Path, steps: int) -> None:
    run = folder(tmp_path, "short")
    fit(Noisy(), Normal(), settings(profile=True, max_steps=steps), run, seed=0)
    assert "nothing to profile" in (run.path / "log.txt").read_text()
    assert not (run.path / "profile").exists()


@pytest.mark.parametrize(("asked", "shared_by"), [(None, 3), (1, 1), (2, 2), (64, 3)])
def test_operations_are_shared_by_no_more_threads_than_asked_for_and_than_there_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int | None, shared_by: int
) -> None:
    before, seen, loss = torch.get_num_threads(), [], Noisy.loss

    def watched(self: Noisy, batch: Batch) -> Any:
        seen.append(torch.get_num_threads())
        if len(seen) == 3:
            raise UserError("enough")
        return loss(self, batch)

    monkeypatch.setattr(Noisy, "loss", watched)
    torch.set_num_threads(3)
    try:
        with pytest.raises(UserError, match="enough"):
            fit(Noisy(), Normal(), settings(threads=asked), folder(tmp_path, "run"), seed=0)
        assert seen[1:] == [shared_by] * 2  # the first is a look at held-out examples, before training
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_seconds_that_are_left_follow_from_more_than_the_first_step() -> None:
    """That one also starts torch: of 50 steps of EM it said eleven minutes."""
    said: list[str] = []
    into: Any = SimpleNamespace(silent=True, say=said.append)
    report, timed = Reporter(into, Budget(10, None)), SimpleNamespace(seconds=13.0, cpu_seconds=2.0)
    for step in (1, 2):
        report.heldout(step, timed, 0.5)
    assert "left" not in said[0]
    assert "13.0 s      52 s left" in said[1]
