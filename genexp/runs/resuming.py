"""What is said, and refused, when a run goes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from genexp.errors import UserError
from genexp.fit.state import random_states
from genexp.folder.data_digests import differing_data, read_otherwise
from genexp.folder.records import flat
from genexp.machine.distributed import world
from genexp.machine.launch import typed, with_plugins
from genexp.runs.circumstances import data_record
from genexp.settings import RunSettings
from genexp.subject import Subject

BUDGETS = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_seconds")
AFRESH = 1_000  # steps, of a run that has done none


def check_budget(before: RunSettings, after: RunSettings, position: Mapping[str, Any]) -> None:
    """UserError where a run is given fewer steps, or other seconds and fewer, than it has trained for: nothing would be done.

    The seconds that it had it may have overrun by a step.
    """
    limit, step = after.trainer.max_steps, position["step"]
    if limit is not None and limit < step:
        raise UserError(f"trainer.max_steps={limit}: the run has done {step} steps already", hint="a number above that")
    most = after.trainer.max_seconds
    seconds = position["cpu_seconds" if after.trainer.clock == "cpu" else "seconds"]
    if most is not None and most != before.trainer.max_seconds and most < seconds:
        of = "CPU seconds" if after.trainer.clock == "cpu" else "seconds"
        said = f"trainer.max_seconds={most:g}: the run has trained for {seconds:.3g} {of} already"
        raise UserError(said, hint="a number above that")


def check_epochs(subject: Subject, position: Mapping[str, Any]) -> None:
    """UserError where a run is given fewer epochs than it has trained for, as it would be of steps."""
    trainer, step = subject.settings.trainer, position["step"]
    if trainer.max_epochs is None:
        return
    by_batch = subject.model.fitter == "gradient"  # another has the whole set in each step
    epoch = subject.data.train_stream(trainer.batch_size, 0).steps_per_epoch if by_batch else 1
    if epoch is not None and trainer.max_epochs * epoch < step:
        said = f"trainer.max_epochs={trainer.max_epochs}: the run has done {step / epoch:.3g} epochs already"
        raise UserError(said, hint="a number above that")


def check_data(record: Mapping[str, Any], subject: Subject, name: str) -> list[str]:
    """UserError where the data are not those that the run of run.json `record` was trained on: with others it would be no run at
    all, of one setting or the other. Else what is to be said of them, in lines.
    """
    now = data_record(subject)
    if (others := differing_data(record, now)) is not None:
        raise UserError(f"{name}: {others}", hint="put back the files, or the plugin, that it had, or begin a run with these")
    otherwise = read_otherwise(record, now)
    return [] if otherwise is None else [f"  {otherwise}"]


def finished_already(record: Mapping[str, Any], settings: RunSettings, name: str, plugins: Sequence[Path] = ()) -> str | None:
    """What to say of a run that has nothing left to do; None where it has."""
    if record.get("status") != "finished":
        return None
    budget = {key: flat(settings.model_dump())[key] for key in BUDGETS}
    spent = ", ".join(f"{key}={value}" for key, value in budget.items() if value is not None)
    key, value = next((key, value) for key, value in budget.items() if value is not None)
    more = typed(["resume", *with_plugins(plugins), name, f"{key}={2 * value or AFRESH}"])
    return f"{name} has finished: {record.get('steps')} steps ({spent})\ngo on with a larger budget, for example: {more}"


def going_on(state: Mapping[str, Any], before: RunSettings, after: RunSettings) -> list[str]:
    """How the rest of a run will differ from what an uninterrupted one would have done, a line each."""
    was, will = flat(before.model_dump()), flat(after.model_dump())
    changed = [key for key in will if will[key] != was.get(key)]
    lines = [f"going on from step {state['position']['step']}"]
    lines += [f"  {key}: {was.get(key)} → {will[key]}" for key in changed]
    if after.trainer.schedule != "constant" and any(key in changed for key in BUDGETS):
        lines.append(
            f"  the {after.trainer.schedule} schedule follows the new budget: the learning rate goes on where that has it"
        )
    if "trainer.compile" in changed:
        lines.append("  compiled or not: the same objective, but rounded otherwise, and with other random numbers")
    trained_by = len(random_states(dict(state)))
    if trained_by != world().size:
        lines.append(f"  {trained_by} → {world().size} processes: the same objective, but other random numbers")
    return lines


def other_threads(record: Mapping[str, Any]) -> list[str]:
    """What is to be said, in lines, where the run of run.json `record` computed among another number of threads."""
    was, now = record.get("threads"), torch.get_num_threads()
    if not isinstance(was, int) or was == now:
        return []
    return [f"  {was} → {now} threads: sums are taken in another order, and numbers may differ in their last digits"]
