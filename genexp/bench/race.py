"""`--time-to`: how long both sides train until a quality is reached. `--race`: what quality both reach in as many CPU seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genexp.bench import gate
from genexp.bench.cases import Case
from genexp.bench.worker import Ended, Task, Worker


@dataclass(frozen=True)
class Finish:
    """How one contender's race ended: seconds and steps of training (looks at the model not counted), and the last quality.

    `cpu_seconds` are what was computed in them, on all threads.
    `resolution`: seconds of training between the last two looks, by less than which the seconds are too many.
    `reached` is False where the budget or the limit came first: the seconds are then a lower bound.
    """

    contender: str
    reached: bool
    seconds: float
    steps: int
    quality: float
    resolution: float = 0.0
    cpu_seconds: float = 0.0
    failure: str | None = None


def race(case: Case, target: float | None, limit: float, overrides: Sequence[str], say: Callable[[str], None]) -> list[Finish]:
    """Both contenders, one after the other; `target` None is the case's own, see Quality."""
    goal = case.quality.article if target is None else target
    words = f"until {case.quality.name} {goal_text(goal)}"
    return _run(case, words, lambda: gate.Race(goal, case.look_every), limit, overrides, say)


def race_for(case: Case, seconds: float, limit: float, overrides: Sequence[str], say: Callable[[str], None]) -> list[Finish]:
    """Both contenders, one after the other, until the first look after so many CPU seconds of training."""
    words = f"for {seconds:g} s of CPU"
    return _run(case, words, lambda: gate.Race(None, case.look_every, budget=seconds), limit, overrides, say)


def _run(
    case: Case, words: str, rules: Callable[[], gate.Race], limit: float, overrides: Sequence[str], say: Callable[[str], None]
) -> list[Finish]:
    finishes = []
    for contender in case.race:
        say(f"{case.name}: {contender.name} {words}")
        with Worker(Task(case, contender, tuple(overrides), rules(), limit)) as worker:
            finishes.append(_finish(contender.name, worker.finish()))
    return finishes


def _finish(name: str, ended: Ended) -> Finish:
    run = ended.race
    if ended.failure is not None or run is None or not run.looks:
        why = ended.failure or "the limit came before the first look"
        return Finish(name, False, 0.0, 0, float("nan"), failure=why)
    seconds, steps, quality = run.looks[-1]
    before = run.looks[-2][0] if len(run.looks) > 1 else 0.0
    return Finish(name, run.reached, seconds, steps, quality, seconds - before, run.cpu_seconds)


def goal_text(goal: float | None) -> str:
    return "scans" if goal is None else f"≤ {goal:g}"
