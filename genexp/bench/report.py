"""What was measured, as lines of text."""

from collections.abc import Iterator, Sequence

from genexp.bench.after import After
from genexp.bench.cases import Case
from genexp.bench.machine import Peaks
from genexp.bench.race import Finish, goal_text
from genexp.bench.scaling import Growth
from genexp.bench.speed import Row, ratio
from genexp.bench.startup import StartUp
from genexp.bench.statistics import Spread
from genexp.bench.worker import last_line


def peaks_line(peaks: Peaks) -> str:
    rates = f"{peaks.float32:,.0f} GFLOP/s in float32, {peaks.bf16:,.0f} in bf16"
    return f"{peaks.device}, {peaks.threads} threads: products of square matrices at {rates} at best"


def speed_table(rows: Sequence[Row], peaks: Peaks) -> Iterator[str]:
    """Median [lowest … highest] over the rounds; `×` is examples per second over the first row's, round by round.

    `arithmetic`: the precision of the products, whose peak `of its peak` is of. `start`: seconds until a process was ready and
    warm, compiling included.
    """
    rates = ("parameters", "steps/s", "examples/s", f"× {rows[0].contender.partition(' ')[0]}", "GFLOP/s", "of its peak")
    head = ("", "arithmetic", *rates, "memory", "start")
    lines, notes = [head], []
    for row in rows:
        if row.described is None or not row.steps_per_second:
            notes.append(f"  {row.contender}: {last_line(row.failure)}")
            continue
        times = ratio(row, rows[0])
        lines.append(
            (
                row.contender,
                row.described.arithmetic,
                f"{row.described.parameters:,}",
                spread(Spread.of(row.steps_per_second)),
                spread(Spread.of(row.examples_per_second)),
                "" if times is None else spread(times),
                f"{row.gigaflops:,.1f}",
                f"{row.gigaflops / peaks.of(row.described.precision):.0%}",
                f"{row.peak_memory / 1e6:,.0f} MB",
                f"{row.seconds_to_start:.1f} s",
            )
        )
    yield from table(lines)
    yield from notes


def race_lines(case: Case, finishes: Sequence[Finish], target: float | None) -> Iterator[str]:
    goal = case.quality.article if target is None else target
    source = f" ({case.quality.source})" if target is None else ""
    yield f"until {case.quality.name} {goal_text(goal)}{source}; a look every {case.look_every:,} examples, the clock stopped:"
    for finish in finishes:
        if finish.failure is not None:
            yield f"  {finish.contender}: {last_line(finish.failure)}"
            continue
        seconds = f"{finish.seconds:,.1f} s" if finish.reached else f"not within {finish.seconds:,.1f} s"
        looks = f"looks {finish.resolution:.2g} s apart"
        if finish.cpu_seconds:
            looks += f", {finish.cpu_seconds:,.1f} s of CPU"
        yield f"  {finish.contender}: {seconds} ({looks}), {finish.steps:,} steps, {case.quality.name} {finish.quality:.4g}"
    yield from compared(*finishes)


def race_for_lines(case: Case, finishes: Sequence[Finish], seconds: float) -> Iterator[str]:
    yield f"{case.quality.name} after {seconds:g} s of CPU, up to {case.look_every:,} examples more:"
    for finish in finishes:
        if finish.failure is not None:
            yield f"  {finish.contender}: {last_line(finish.failure)}"
        else:
            what = f"{case.quality.name} {finish.quality:.4g}"
            yield f"  {finish.contender}: {what} after {finish.cpu_seconds:,.1f} s of CPU, {finish.steps:,} steps"


def compared(plain: Finish, ours: Finish) -> Iterator[str]:
    """How many times faster or slower ours was; nothing where that is not known: one failed, or gave up before the other."""
    if plain.failure is not None or ours.failure is not None or not (plain.reached or ours.reached):
        return
    more = "" if plain.reached and ours.reached else "more than "
    if ours.reached and plain.seconds >= ours.seconds:
        yield f"  ours: {more}{plain.seconds / ours.seconds:,.1f} times faster"
    elif plain.reached and ours.seconds > plain.seconds:
        yield f"  ours: {more}{ours.seconds / plain.seconds:,.1f} times slower"


def startup_lines(times: StartUp) -> Iterator[str]:
    yield f"  genexp --help                      {seconds(times.help)}"
    yield f"  genexp list                        {seconds(times.list)}"
    yield f"  genexp run, until the first step   {seconds(times.first_step)}"


def after_lines(after: After, best: Row | None) -> Iterator[str]:
    """`best`: the row that says how long a default run trains."""
    yield f"  sampling: {after.samples_per_second:,.0f} examples a second ({after.experiment})"
    text = f"  after training: measuring {after.seconds_measuring:.1f} s, figures and animations {after.seconds_drawing:.1f} s"
    if best is not None and best.steps_per_second and after.default_steps:
        training = after.default_steps / Spread.of(best.steps_per_second).median
        share = after.seconds_drawing / (training + after.seconds_measuring + after.seconds_drawing)
        text += f", {share:.0%} of a default run with {training:,.0f} s of training"
    yield text


def growth_lines(growth: Growth) -> Iterator[str]:
    yield f"{growth.case}: {growth.cost} against {growth.what}"
    if not growth.points:
        yield f"  nothing could be measured: {growth.failures[0] if growth.failures else 'there was nothing to vary'}"
        return
    lines = [(growth.what, "seconds", "memory")]
    lines += [(point.value, f"{point.seconds:.4g}", f"{point.peak_memory / 1e6:,.0f} MB") for point in growth.points]
    yield from table(lines)
    yield from (f"  not measured: {failure}" for failure in growth.failures)
    yield f"  time ∝ size^{growth.time_exponent:.2f}; memory beyond the smallest's ∝ size^{growth.memory_exponent:.2f}"


def seconds(values: Sequence[float]) -> str:
    return f"{spread(Spread.of(values))} s"


def spread(values: Spread) -> str:
    """Three digits: median [lowest … highest]."""
    return f"{digits(values.median)} [{digits(values.low)} … {digits(values.high)}]"


def digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *rest in lines:
        yield "  " + "   ".join(
            [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        )
