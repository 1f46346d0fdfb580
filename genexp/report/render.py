"""The page: everything that was gathered, by the templates in page/. One file, no address outside it.

The page's own policy (Content-Security-Policy) lets a browser fetch nothing and run only the scripts that are in the page by
their hashes, whatever else should have got in.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from genexp.figures.style import classes
from genexp.report import side_by_side
from genexp.report.gather import Run, gather
from genexp.report.live import Live, bring_to_life
from genexp.report.pictures import Film, Still, films, stills
from genexp.summary import BESIDE, number_text

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("page.js", "charts.js", "player.js", "film.js", "explorer.js", "flow.js")
MARKER = '<meta name="generator" content="genexp report">'
MOST_LIVE = 4  # runs whose models travel with the page


@dataclass(frozen=True)
class Exhibit:
    """A run with everything of it that is shown."""

    run: Run
    stills: list[Still]
    films: list[Film]
    live: Live


def exhibit(path: Path, live: bool = True) -> Exhibit:
    """Everything of the run in `path`; `live` is whether its model is to travel with the page."""
    run = gather(path)
    found = bring_to_life(run) if live else Live(missing=f"only the first {MOST_LIVE} runs bring their models")
    return Exhibit(run, stills(run.folder), films(run.folder), found)


def report(paths: Sequence[Path], title: str | None = None) -> str:
    """The page of these runs."""
    exhibits = [exhibit(path, index < MOST_LIVE) for index, path in enumerate(paths)]
    runs = [each.run for each in exhibits]
    experiments = list(dict.fromkeys(run.experiment for run in runs))
    return environment().get_template("report.html.j2").render(
        title=title or (experiments[0] if len(experiments) == 1 else f"{len(runs)} runs side by side"),
        runs=runs,
        exhibits=exhibits,
        headlines=side_by_side.headlines(runs),
        numbers=side_by_side.number_rows(runs),
        charts=side_by_side.charts(runs),
        config=side_by_side.config_rows(runs),
        record=side_by_side.record_rows(runs),
        shelves=side_by_side.shelves([each.stills for each in exhibits]),
        films=side_by_side.shelves([each.films for each in exhibits]),
        explorers=[(index, each.live.explorer) for index, each in enumerate(exhibits) if each.live.explorer],
        flows=[(index, each.live.flow) for index, each in enumerate(exhibits) if each.live.flow],
    )  # fmt: skip


def environment(*folders: Path) -> Environment:
    """Jinja, escaping everything, with what every page of ours needs; `folders` hold other templates."""
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
        "marker": MARKER,
        "policy": policy,
        "script": script,
        "style": (PAGE / "page.css").read_text(encoding="utf-8"),
        "palette": classes(10),
        "beside": BESIDE,
        "now": f"{datetime.now():%Y-%m-%d %H:%M}",
        "version": version("genexp"),
        "distance": side_by_side.distance,
    }
    jinja.filters["number"] = number_text
    return jinja
