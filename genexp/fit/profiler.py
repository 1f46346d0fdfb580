"""`trainer.profile=true`: where the time of a training step goes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from genexp.folder.run_folder import RunFolder

SKIPPED, STEPS = 10, 10  # steps before the profile: they allocate, and compile; and at most in it
SHOWN = 10


@contextmanager
def profiling(folder: RunFolder, wanted: bool) -> Iterator[Callable[[], None]]:
    """Inside, what is yielded is to be called after every training step; where `wanted`, some steps are profiled, of one process.

    Of these the folder gets a trace, profile/trace.json (chrome://tracing and ui.perfetto.dev show it), and the terminal the
    ten most expensive operations.
    """
    if not wanted or folder.silent:
        yield lambda: None
        return
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    plan = schedule(wait=SKIPPED - 2, warmup=2, active=STEPS, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=lambda found: _report(folder, found)) as profiler:
        yield profiler.step
    if not (folder.path / "profile" / "trace.json").exists():
        folder.say(f"nothing to profile: training ended within the first {SKIPPED} steps")


def _report(folder: RunFolder, profiler: profile) -> None:
    steps = min(STEPS, profiler.step_num - SKIPPED)  # fewer where the training ended
    if steps < 1:
        return
    path = folder.save_trace(lambda temporary: profiler.export_chrome_trace(str(temporary)))
    operations = sorted(profiler.key_averages(), key=_own_time, reverse=True)
    operations = [one for one in operations if not one.key.startswith("ProfilerStep")]
    total = sum(map(_own_time, operations)) or 1.0
    folder.say(f"the most expensive operations of {steps} steps, {total / steps / 1000:,.2f} ms each   → {path}")
    for one in operations[:SHOWN]:
        own = _own_time(one)
        folder.say(f"  {own / total:6.1%}  {own / steps / 1000:8.3f} ms a step  {one.count // steps:5} calls  {one.key}")


def _own_time(operation: torch.autograd.profiler_util.FunctionEventAvg) -> float:
    """Microseconds on the accelerator, where there is one, else on the CPU; without what it called."""
    return operation.self_device_time_total if torch.cuda.is_available() else operation.self_cpu_time_total
