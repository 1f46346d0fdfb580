"""One run, from configuration to folder: build → fit → evaluate → draw."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from genexp.config.composition import Composed, compose_stored
from genexp.errors import Interrupted
from genexp.fit.budget import Budget
from genexp.fit.interrupts import Interrupts
from genexp.fit.loop import fit
from genexp.fit.state import Position, step_of
from genexp.folder import checkpoint
from genexp.folder.records import read_run
from genexp.folder.run_folder import RunFolder
from genexp.folder.silent import SilentFolder
from genexp.folder.tracking import make_tracker
from genexp.machine.device import choose_device, prepare_cpu
from genexp.machine.distributed import entered, first_of_each_machine_first, on_main, part, processes, world
from genexp.machine.launch import typed, with_plugins
from genexp.machine.memory import check_fits, weights_fit
from genexp.measures import anomalies, line
from genexp.measures.training import count_parameters
from genexp.measures.watching import Watching
from genexp.models.base import check_learns
from genexp.pictures.asked import check_endpoints, check_learning
from genexp.registry import models
from genexp.runs.circumstances import circumstances
from genexp.runs.rehearsal import rehearse
from genexp.runs.results import keep, measure
from genexp.runs.resuming import check_budget, check_data, check_epochs, finished_already, going_on, other_threads
from genexp.runs.trained import build_data, context_of
from genexp.seeds import seed_for
from genexp.settings import RunSettings
from genexp.subject import Subject
from genexp.summary import next_steps, results_table


def run(composed: Composed, run_dir: str | None = None, plugins: Sequence[Path] = ()) -> RunFolder:
    """Train, evaluate and draw what `composed` describes, in a new folder."""
    settings = composed.settings
    with processes():
        subject = first_of_each_machine_first(lambda: build(settings))
        first_of_each_machine_first(lambda: check_requests(subject))
        folder = one_folder(lambda: RunFolder.create(settings.experiment, run_dir or settings.run_dir))
        with entered(folder.lock()):
            folder.write_config(settings.model_dump(), composed.overrides)
            _carry_out(subject, folder, composed, None, plugins)
    return folder


def resume(path: Path, overrides: Sequence[str] = (), plugins: Sequence[Path] = ()) -> RunFolder:
    """Go on with the run in `path` from its last checkpoint, exactly as if it had never stopped.

    A run that has finished stays as it is, unless `overrides` give it something to do. UserError for what cannot be changed.
    """
    with processes():
        before, composed = (on_main(partial(compose_stored, path, words)) for words in ((), overrides))
        folder = one_folder(lambda: RunFolder(path))
        with entered(folder.lock()):
            done = on_main(lambda: finished_already(read_run(path), composed.settings, str(path), plugins))
            if done is not None and not overrides:
                if not folder.silent:
                    print(done)
                return folder
            state = on_main(lambda: checkpoint.load(path / "checkpoints" / "last.pt"))
            check_budget(before.settings, composed.settings, state["position"])
            changes = going_on(state, before.settings, composed.settings)
            subject = first_of_each_machine_first(lambda: build(composed.settings, path))
            first_of_each_machine_first(lambda: check_requests(subject))
            check_epochs(subject, state["position"])
            record = read_run(path)
            for line in [*changes, *other_threads(record), *check_data(record, subject, str(path))]:
                folder.say(line)
            folder.cut_history(step_of(state))
            folder.write_config(composed.settings.model_dump(), composed.overrides)
            _carry_out(subject, folder, composed, state, plugins)
    return folder


def one_folder(make: Callable[[], RunFolder]) -> RunFolder:
    """The run folder that the main rank makes; on the others, one that writes nothing."""
    folder = on_main(make)
    return folder if world().is_main else SilentFolder(folder.path)


def build(settings: RunSettings, path: Path | None = None) -> Subject:
    """Data and model on the device, the seed set: everything random follows from it. `path`: of an earlier run to go on with."""
    device = choose_device(settings.device)
    prepare_cpu()
    torch.manual_seed(seed_for(settings.seed, "model"))
    context = context_of(device, path)
    data = build_data(settings, device, path, context)
    check_samples_fit(settings.evaluation.num_samples, data.spec.shape)
    with weights_fit():
        model = models.build(settings.model, data.spec, context).to(device)
    check_learns(model, data.knows)
    return Subject(model, data, settings, device, runs=context.asked)


def check_samples_fit(count: int, shape: tuple[int, ...]) -> None:
    """UserError, before anything is trained, where the samples that are measured afterwards would not fit into memory: they,
    their parts as they are put together, and true ones beside them, as floats.
    """
    needed = 3 * 4 * count * math.prod(shape)
    check_fits(needed, f"evaluation.num_samples={count}", "fewer; genexp sample writes any number of them later")


def _carry_out(
    subject: Subject, folder: RunFolder, composed: Composed, state: dict[str, Any] | None, plugins: Sequence[Path]
) -> None:
    """Fit, evaluate and draw inside `folder`, whose run.json says at any time how it stands."""
    so_far = partial(_all_sessions, folder.seconds(), time.perf_counter())
    if (tracker := make_tracker(subject.settings.tracking)) is not None:
        folder.track(tracker)
    places = {"plugins": plugins, "config_dirs": composed.config_dirs}
    named = {name: [str(path.resolve()) for path in paths] for name, paths in places.items()}
    steps = 0 if state is None else step_of(state)
    folder.update(status="running", error=None, steps=steps, **named, **circumstances(subject))
    try:
        with Interrupts() as interrupts:
            position = _fit(subject, folder, interrupts, state)
            subject.history, subject.training = folder.history(), facts(position)
            with subject.model.remembering():
                results = measure(subject, folder, folder.say)
                part()  # what is left to do one process can do
                if not folder.silent:
                    keep(results, subject, folder, folder.say)
    except Interrupted:
        folder.update(status="interrupted", seconds=so_far())
        if (folder.checkpoints / "last.pt").exists():
            folder.say(f"stopped; go on with: {typed(['resume', *with_plugins(plugins), str(folder.path)])}")
        else:
            folder.say("stopped before anything was saved")
        raise
    except BaseException as failure:
        with suppress(OSError):  # where the disk is what failed
            said = getattr(failure, "message", failure)
            folder.update(status="failed", error=f"{type(failure).__name__}: {said}", seconds=so_far())
        raise
    folder.update(status="finished", seconds=so_far())
    folder.say(results_table(results.taken.metrics, results.taken.words))
    folder.say(next_steps(folder, composed, plugins))


def _all_sessions(before: float, started: float) -> float:
    """Wall time for run.json: `before` is that of earlier sessions, and this one has `started` on the clock."""
    return round(before + time.perf_counter() - started, 2)


def check_requests(subject: Subject) -> None:
    """UserError where the settings ask for numbers, pictures or epochs that cannot be had of this model and these data."""
    check_endpoints(subject)
    anomalies.check(subject)
    line.check(subject)
    check_learning(subject)
    if subject.model.fitter == "gradient":  # another has the whole set in each step
        Budget.of(subject.settings.trainer, subject.data.train_stream(1, 0))


def facts(position: Position) -> dict[str, float]:
    """Of a training, for the measures of it."""
    return {
        "best_step": position.best_step,
        "steps": position.step,
        "seconds_train": round(position.seconds, 3),
        "cpu_seconds_train": round(position.cpu_seconds, 3),
        "samples_per_second": round(position.examples / max(position.seconds, 1e-9), 1),
    }


def _fit(subject: Subject, folder: RunFolder, interrupts: Interrupts, state: dict[str, Any] | None) -> Position:
    settings, say = subject.settings, folder.say
    say(f"{settings.experiment}   {subject.data.describe()}")
    model = f"{settings.model['name']}, {count_parameters(subject):,} parameters"
    many = f" in each of {world().size} processes" if world().size > 1 else ""
    say(f"{model}, on {subject.device}{many}, seed {settings.seed} → {folder.path}")
    watch, rehearsal = Watching(subject), partial(rehearse, subject, say)
    position = fit(subject.model, subject.data, settings.trainer, folder, settings.seed, interrupts, state, watch, rehearsal)
    say(f"trained {position.step} steps in {position.seconds:.1f} s")
    return position
