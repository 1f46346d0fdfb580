"""The page: everything that was gathered, by the templates in page/. One file, no address outside it.

The page's own policy (Content-Security-Policy) lets a browser fetch nothing and run only the scripts that are in the page by
their hashes, whatever else should have got in.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from genexp.figures.style import classes
from genexp.measures.endings import suspicious
from genexp.report import side_by_side
from genexp.report.about import about, next_steps, tell
from genexp.report.constraints import constraints
from genexp.report.gather import Run, gather
from genexp.report.live import Live, bring_to_life
from genexp.report.pictures import Film, Still, films, stills
from genexp.summary import BESIDE, number_text

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("page.js", "charts.js", "player.js", "film.js", "explorer.js", "flow.js", "cube.js")
MARKER = '<meta name="generator" content="genexp {kind}">'
MOST_LIVE, MOST_PICTURED = 4, 12  # runs whose models and films, and whose figures travel with the page


@dataclass(frozen=True)
class Exhibit:
    """A run with everything of it that is shown."""

    run: Run
    stills: list[Still]
    films: list[Film]
    live: Live


def exhibit(path: Path, number: int = 0) -> Exhibit:
    """Everything of the run in `path`, which is the `number`-th of the page; of many runs only the first bring everything."""
    run = gather(path)
    if number < MOST_LIVE:
        return Exhibit(run, stills(run.folder), films(run.folder), bring_to_life(run))
    if number == MOST_LIVE:
        run.folder.notes.append(f"from here on without models and animations: those of the first {MOST_LIVE} runs are shown")
    if number == MOST_PICTURED:
        run.folder.notes.append(f"from here on without figures: those of the first {MOST_PICTURED} runs are shown")
    return Exhibit(run, stills(run.folder) if number < MOST_PICTURED else [], [], Live())


def report(paths: Sequence[Path], title: str | None = None) -> str:
    """The page of these runs."""
    exhibits = [exhibit(path, number) for number, path in enumerate(paths)]
    runs = [each.run for each in exhibits]
    words = side_by_side.words_in(runs)
    experiments = list(dict.fromkeys(run.experiment for run in runs))
    return environment().get_template("report.html.j2").render(
        title=title or (experiments[0] if len(experiments) == 1 else f"{len(runs)} runs side by side"),
        runs=runs,
        exhibits=exhibits,
        about=about(runs),
        tell=partial(tell, words),
        advice=next_steps(runs[0]) if len(runs) == 1 else [],
        headlines=side_by_side.headlines(runs),
        constraints=constraints(runs),
        numbers=side_by_side.number_rows(runs),
        charts=side_by_side.charts(runs),
        config=side_by_side.config_rows(runs),
        record=side_by_side.record_rows(runs),
        shelves=side_by_side.shelves([each.stills for each in exhibits], words),
        films=side_by_side.shelves([each.films for each in exhibits], words),
        explorers=[(index, each.live.explorer) for index, each in enumerate(exhibits) if each.live.explorer],
        cubes=[(index, each.live.cube) for index, each in enumerate(exhibits) if each.live.cube],
        flows=[(index, each.live.flow) for index, each in enumerate(exhibits) if each.live.flow],
    )  # fmt: skip


def environment(*folders: Path, kind: str = "report") -> Environment:
    """Jinja, escaping everything, with what every page of ours needs; `folders` hold other templates, and pages of one `kind`
    never replace those of another.
    """
    jinja = Environment(
        loader=FileSystemLoader([PAGE, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    jinja.globals |= {
        "marker": MARKER.format(kind=kind),
        "policy": policy,
        "script": script,
        "style": (PAGE / "page.css").read_text(encoding="utf-8"),
        "palette": classes(10),
        "beside": BESIDE,
        "now": f"{datetime.now():%Y-%m-%d %H:%M}",
        "version": version("genexp"),
        "distance": side_by_side.distance,
        "suspicious": suspicious,
    }
    jinja.filters["number"] = number_text
    return jinja
