"""The step loop, the same for every fitter; of a model it asks `validate(batch)` and its weights."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from genexp.data.base import Dataset
from genexp.fit.base import fitters
from genexp.fit.budget import Budget, Stopwatch
from genexp.fit.interrupts import Interrupts
from genexp.fit.last_look import take_last_look
from genexp.fit.profiler import profiling
from genexp.fit.progress import Reporter
from genexp.fit.state import Position, Training
from genexp.fit.validation import Watch, heldout_batch
from genexp.folder import checkpoint
from genexp.folder.run_folder import RunFolder
from genexp.machine.device import on_threads
from genexp.machine.distributed import Moment, agreed, noise_of_its_own, on_main
from genexp.models.base import GenerativeModel
from genexp.optim.schedule import schedule
from genexp.settings import TrainerSettings

REHEARSED_AFTER = 15.0  # seconds of training,
MORE_LEFT = 4  # where so many times as much is left: what is shorter is soon done again, and need not wait


def fit(
    model: GenerativeModel,
    data: Dataset,
    settings: TrainerSettings,
    folder: RunFolder,
    seed: int,
    interrupts: Interrupts,
    state: dict[str, Any] | None = None,
    watch: Watch | None = None,
    rehearse: Callable[[], None] = lambda: None,
) -> Position:
    """Train `model` in place until a budget is spent; afterwards it holds the best weights by what is monitored.

    Args:
        interrupts: how a signal asks for an end after the current step.
        state: a checkpoint of the same run to go on from, exactly; None begins anew.
        watch: follows the held-out terms, of which the one called `settings.monitor` says which weights are best.
        rehearse: called when training has taken REHEARSED_AFTER seconds, if it will be a long one; what it raises ends it then.

    Raises:
        UserError: the loss is no longer finite; there is no held-out term of the monitored name.
        Interrupted: Ctrl-C or TERM; the checkpoint is written.
    """
    fitter = fitters.build({"name": model.fitter}, model, data, settings, seed)
    stream, every = fitter.stream, fitter.every
    heldout = heldout_batch(data, settings.eval_size, seed)
    budget = Budget.of(settings, stream, fitter.last_step)
    first_look = Stopwatch(heldout.x.device)
    fitter.begin(new=state is None)
    training = Training(fitter, settings, folder, watch or Watch())
    noise_of_its_own(seed, 0 if state is None else state["position"]["step"])
    if state is not None:
        training.restore(state)
    training.check_monitor(heldout)
    position = training.position
    if state is None and training.watch.wants(0):
        training.watch.keep(fitter.model, 0)
    fitter.ready()
    clock = Stopwatch(heldout.x.device, position.seconds or first_look.seconds, position.cpu_seconds or first_look.cpu_seconds)
    model.train()
    rehearsed = False

    report, profile = Reporter(folder, budget), profiling(folder, settings.profile)
    with interrupts.deferred(), training.rescued(), on_threads(settings.threads), report, profile as after_step:
        if not (fitter.finished or budget.spent(position.step, budget.reading(position))):
            folder.put_results_aside(position.step)
        elif state is not None:
            folder.say("no step is left to do: it is measured where it was")
        while True:
            now = agreed(Moment(budget.reading(clock), interrupts.signum))
            if now.signum is not None or fitter.finished or budget.spent(position.step, now.seconds):
                break
            progress = budget.progress(position.step, now.seconds)
            if not rehearsed and now.seconds > REHEARSED_AFTER:
                rehearsed = True
                if now.seconds * (1 - progress) > MORE_LEFT * REHEARSED_AFTER * progress:
                    with clock.paused():
                        rehearse()
            rate = schedule(settings.schedule, progress, settings.warmup)
            batch = stream.next()
            terms = fitter.step(batch, rate, position.step + 1)

            position.step += 1
            position.examples += len(batch.x)
            training.window.add(terms)
            after_step()
            if training.watch.wants(position.step):
                with clock.paused():
                    training.watch.keep(fitter.model, position.step)
            if position.step % every.log == 0:
                losses = training.losses()
                position.seconds, position.cpu_seconds = clock.seconds, clock.cpu_seconds
                pace = position.examples / position.seconds
                line = {"step": position.step, "seconds": position.seconds, "cpu_seconds": position.cpu_seconds, **losses}
                folder.log_history({**line, **fitter.facts(), "samples_per_second": pace})
                report.step(position.step, position, losses["loss"], pace)
            if position.step % every.evaluate == 0:
                with clock.paused():
                    position.cpu_seconds = clock.cpu_seconds
                    report.heldout(position.step, clock, training.evaluate(heldout, clock.seconds))
            if position.step % every.checkpoint == 0:
                with clock.paused():
                    position.seconds, position.cpu_seconds = clock.seconds, clock.cpu_seconds
                    training.save()

        clock.stop()
        position.seconds, position.cpu_seconds = clock.seconds, clock.cpu_seconds
        if now.signum is None and position.step != position.evaluated_at:
            training.evaluate(heldout, position.seconds)
        training.save()
        folder.update(steps=position.step)
        if now.signum is not None:
            interrupts.signum = now.signum  # which another process may have got

    model.load_state_dict(on_main(lambda: conclude(model, data, folder, seed)))
    model.eval()
    for remark in model.remarks():
        folder.say(remark)
    return position


def conclude(model: GenerativeModel, data: Dataset, folder: RunFolder, seed: int) -> dict[str, Tensor]:
    """Give `model` its best weights and let it take its last look at the data; best.pt and the result hold what comes out."""
    best = checkpoint.load(folder.checkpoints / "best.pt", model.device)
    model.load_state_dict(best["model"])
    take_last_look(model, data, seed)
    folder.save_checkpoint("best", {**best, "model": model.state_dict()})
    return {name: weights.cpu() for name, weights in model.state_dict().items()}
