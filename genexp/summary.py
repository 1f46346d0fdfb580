"""What a run says at its end: its numbers beside their floors, and what to type next."""

import shlex
from collections.abc import Mapping

from genexp.artifacts import RunFolder

BESIDE = ("floor", "exact", "baseline", "real_vs_real")  # what is known of a number stands beside it


def results_table(metrics: Mapping[str, float | int | str | None]) -> str:
    """The metrics, one a line, each with its floor where one is known."""
    lines = [""]
    for name, value in metrics.items():
        kind, _, of = name.partition("/")
        if kind in BESIDE and of in metrics:
            continue
        known = {kind: metrics.get(f"{kind}/{name}") for kind in BESIDE}
        beside = "".join(
            f"   {kind.replace('_', ' ')} {number_text(number)}" for kind, number in known.items() if number is not None
        )
        lines.append(f"  {name:<20} {number_text(value):>12}{beside}")
    return "\n".join(lines)


def next_steps(folder: RunFolder, experiment: str) -> str:
    """Where the pictures are, and three things to try."""
    pictures = sorted(path.name for path in (folder.path / "figures").glob("*"))
    lines = ["", f"everything is in {folder.path}"]
    if pictures:
        lines.append(f"look at   {folder.path / 'figures'}: {', '.join(pictures)}")
    lines.append(f"next      genexp run experiment={shlex.quote(experiment)} seed=1        the same, another seed")
    lines.append("          genexp list                                other experiments")
    return "\n".join(lines)


def number_text(value: float | int | str | None) -> str:
    """A metric for a reader: four digits, thousands apart, a dash for none."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
