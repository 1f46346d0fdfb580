"""What a run says at its end: its numbers beside their floors, and what to type next."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexp.folder.run_folder import RunFolder
from genexp.measures.endings import suspicious
from genexp.measures.record import BESIDE as BESIDE
from genexp.measures.record import eyesight
from genexp.printable import command_line

if TYPE_CHECKING:
    from genexp.config.composition import Composed


Numbers = Mapping[str, float | int | str | None]


def results_table(metrics: Numbers, words: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The metrics, one a line, each beside its floor where one is known; and below, by the measures' words, which failures of
    samples they see and which they cannot see.
    """
    lines, seen = [""], dict[str, list[str]]()
    for name, value in metrics.items():
        kind, _, of = name.partition("/")
        if kind in BESIDE and of in metrics:
            continue
        known = {kind: metrics.get(f"{kind}/{name}") for kind in BESIDE}
        beside = "".join(
            f"   {kind.replace('_', ' ')} {number_text(number)}" for kind, number in known.items() if number is not None
        )
        beside += "   suspicious" if suspicious(name, value) else ""
        lines.append(f"  {name:<20} {number_text(value):>12}{beside}")
        if said := eyesight((words or {}).get(name, {})):
            seen.setdefault(said, []).append(name)
    if seen:
        lines += ["", "what these see when samples fail (genexp run experiment=metric_trial):"]
    width = shutil.get_terminal_size().columns
    for said, names in seen.items():
        lines.append(textwrap.fill(f"{', '.join(names)}: {said}", max(40, width), initial_indent="  ", subsequent_indent="    "))
    return "\n".join(lines)


def next_steps(folder: RunFolder, composed: "Composed", plugins: Sequence[Path] = ()) -> str:
    """Where the pictures are, and three things to try: what was typed, again with another seed, among them."""
    pictures = sorted(path.name for path in (folder.path / "figures").glob("*"))
    lines = ["", f"everything is in {folder.path}"]
    if pictures:
        lines.append(f"look at   {folder.path / 'figures'}: {', '.join(pictures)}")
    path, own = str(folder.path), [word for plugin in plugins for word in ("--plugin", str(plugin))]
    folders = [word for place in composed.config_dirs for word in ("--config-dir", str(place))]
    last = {word.partition("=")[0]: word for word in composed.overrides}  # a run that went on has some keys more than once
    kept = [word for key, word in last.items() if key not in ("seed", "run_dir")]
    seed = str(composed.settings.seed + 1)  # the run's own samples have the one before
    suggested = {
        command_line(["genexp", "report", *own, path]): "one page of it all",
        command_line(["genexp", "sample", *own, path, "--seed", seed, "--out", "more.npz"]): "other samples",
        command_line(["genexp", "run", *own, *folders, *kept, f"seed={seed}"]): "the same from another seed",
    }
    width = min(60, max(map(len, suggested)))
    for start, (command, why) in zip(("next", "", ""), suggested.items(), strict=True):
        lines.append(f"{start:<10}{command:<{width}}   {why}")
    return "\n".join(lines)


def number_text(value: float | int | str | None) -> str:
    """A metric for a reader: four digits, thousands apart, a dash for none."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
