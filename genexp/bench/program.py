"""`genexp bench` from request to printed tables, or JSON."""

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from genexp.bench import report
from genexp.bench.after import measure_after
from genexp.bench.cases import CASES, Case
from genexp.bench.gate import Channel, Slice
from genexp.bench.machine import Peaks, measure_peaks
from genexp.bench.processes import ask
from genexp.bench.race import race, race_for
from genexp.bench.scaling import measure_scaling
from genexp.bench.speed import measure
from genexp.bench.startup import measure_startup
from genexp.bench.worker import settings_of
from genexp.errors import UserError
from genexp.fetch import default_data_dir
from genexp.fetch.sets import data_in_words

SAMPLES = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    cases: Sequence[str]
    repeat: int = 3
    seconds: float = 4.0
    time_to: str | None = None
    limit: float = 3600.0
    scaling: bool = False
    overrides: tuple[str, ...] = ()
    samples: tuple[int, ...] = SAMPLES
    race_for: float | None = None

    @property
    def target(self) -> float | None:
        """The quality to reach; None for what `article` stands for."""
        if self.time_to in (None, "article"):
            return None
        try:
            target = float(self.time_to or "")
        except ValueError:
            target = math.nan
        if not math.isfinite(target):
            raise UserError(f"--time-to {self.time_to}: neither a number nor article")
        return target


Print = Callable[[str], None]

TASK = ("experiment", "dataset", "data_dir", "device")


def check(request: Request) -> None:
    """UserError for whatever would be one in the middle of measuring, or make the two sides do different things."""
    raced = racing(request)
    _ = request.target
    for text in request.overrides:
        key = text.partition("=")[0].lstrip("+~")
        if key.split(".")[0] in TASK and not all(CASES[name].follows(text) for name in request.cases):
            hint = "GENEXP_DATA=… says for all where the data lie, and CUDA_VISIBLE_DEVICES on which device"
            raise UserError(f"{text}: the plain loops would not follow, and do another task", hint=hint)
        if raced and key == "trainer.eval_every":
            raise UserError(f"{text}: in a race both sides are looked at after as many examples")
    for case in (CASES[name] for name in request.cases):
        for contender in case.race if raced else case.contenders:
            if contender.experiment is not None:
                settings_of(case, contender, request.overrides)
        if request.time_to == "article" and not case.has_data():
            where = f"the data set {case.needs} is not in {default_data_dir()}"
            raise UserError(f"--time-to article: {where}", hint=f"genexp data fetch {case.needs}; or --time-to NUMBER")


def data_of(case: Case, overrides: Sequence[str] = ()) -> str:
    """The data set on which all of a case's contenders train, in words."""
    return data_in_words(case.needs, settings_of(case, case.trainer, overrides).dataset["name"], default_data_dir())


def bench(request: Request, as_json: bool) -> None:
    """Measure what was asked for and print it, as it comes or, as JSON, at the end."""
    check(request)
    found: dict[str, Any] = {}

    def show(line: str) -> None:
        if not as_json:
            print(line, flush=True)

    chosen = [CASES[name] for name in request.cases]
    if racing(request):
        found["races"] = {case.name: _race(case, request, show) for case in chosen}
    elif request.scaling:
        found["scaling"] = {case.name: _scaling(case, request, show) for case in chosen}
    else:
        found |= _speed(chosen, request, show)
    if as_json:
        print(json.dumps(plain(found), indent=2, allow_nan=False))


def _speed(chosen: Sequence[Case], request: Request, show: Print) -> dict[str, Any]:
    say("measuring the machine")
    peaks = _peaks()
    show(report.peaks_line(peaks))
    cases: dict[str, Any] = {}
    for case in chosen:
        rows = measure(case, request.repeat, Slice(request.seconds), request.overrides, say)
        show(f"\n{case.name}: {data_of(case)}")
        show_all(show, report.speed_table(rows, peaks))
        say(f"{case.name}: a short run, for what comes after training")
        after = measure_after(case, request.overrides)
        show_all(show, report.after_lines(after, next(row for row in rows if row.contender == case.best.name)))
        cases[case.name] = {"data": data_of(case), "rows": rows, "after": after}
    say("start-up")
    startup = measure_startup(request.repeat)
    show("\nfrom Enter")
    show_all(show, report.startup_lines(startup))
    return {"peaks": peaks, "cases": cases, "startup": startup}


def racing(request: Request) -> bool:
    return request.time_to is not None or request.race_for is not None


def _race(case: Case, request: Request, show: Print) -> Any:
    if request.race_for is not None:
        finishes = race_for(case, request.race_for, request.limit, request.overrides, say)
        show(f"\n{case.name}: {data_of(case, request.overrides)}")
        show_all(show, report.race_for_lines(case, finishes, request.race_for))
        return finishes
    finishes = race(case, request.target, request.limit, request.overrides, say)
    show(f"\n{case.name}: {data_of(case)}")
    show_all(show, report.race_lines(case, finishes, request.target))
    return finishes


def _scaling(case: Case, request: Request, show: Print) -> Any:
    growths = []
    show(f"\n{case.name}: {data_of(case)}")
    for growth in measure_scaling(case, Slice(request.seconds), request.samples, request.overrides, say):
        show("")
        show_all(show, report.growth_lines(growth))
        growths.append({**asdict(growth), "time_exponent": growth.time_exponent, "memory_exponent": growth.memory_exponent})
    return growths


def _peaks() -> Peaks:
    """In a process of its own, like everything that is measured."""
    return ask(_send_peaks)


def _send_peaks(channel: Channel) -> None:
    channel.send(measure_peaks())


def say(text: str) -> None:
    """What is going on, for whoever watches a terminal."""
    if sys.stderr.isatty():
        print(f"… {text}", file=sys.stderr, flush=True)


def show_all(show: Print, lines: Any) -> None:
    for line in lines:
        show(line)


def plain(value: Any) -> Any:
    """Records as dictionaries; numbers that are not finite as null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
