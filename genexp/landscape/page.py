"""The page, and the pictures beside it."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment
from matplotlib.figure import Figure

from genexp.compare.results import threads_of
from genexp.errors import UserError
from genexp.files import Replacing
from genexp.landscape import frontier, gallery
from genexp.landscape.entries import COSTS, SIZE, Entry
from genexp.landscape.families import FAMILIES
from genexp.landscape.fields import FEWEST, Field, fields_of
from genexp.landscape.gallery import Grid, Toy
from genexp.landscape.glance import HEADER, glance
from genexp.landscape.tables import in_markdown
from genexp.landscape.thumbnails import of_run
from genexp.report.render import environment
from genexp.report.write import is_marked, write_page

HERE = Path(__file__).parent
KIND = "landscape"
MADE = f"genexp {KIND}"  # near the beginning of what is written beside the page, by which it is known again
BESIDE = (*COSTS, SIZE, "steps")


@dataclass(frozen=True)
class Shown:
    """What the page is made of."""

    fields: list[Field]
    toys: list[Toy]
    grid: Grid | None
    entries: list[Entry]


def gather(entries: Sequence[Entry]) -> Shown:
    """Fields with enough runs to be one, and the toys."""
    every = fields_of(entries)
    toys = gallery.toys_of(every)
    return Shown([field for field in every if len(field.points) >= FEWEST], toys, gallery.grid_of(toys), [*entries])


def page(shown: Shown) -> str:
    """All of it as HTML."""
    numbers = {id(entry): index for index, entry in enumerate(shown.entries)}
    ends = {id(entry): toy.ends for toy in shown.toys for entry in toy.field.entries}
    return own_environment().get_template("landscape.html.j2").render(
        title="The landscape of likelihood-based models",
        shown=shown,
        families=[family for family in FAMILIES if any(entry.family is family for entry in shown.entries)],
        header=HEADER,
        tables=[(field, glance(field)) for field in shown.fields],
        charts=[frontier.data(field, numbers) for field in shown.fields],
        runs=[run_data(entry, ends.get(id(entry))) for entry in shown.entries],
        numbers=numbers,
        key=id,
    )  # fmt: skip


def run_data(entry: Entry, ends: Any) -> dict[str, Any]:
    """What is shown of a run that was clicked on."""
    run, number = entry.record.run, entry.number
    facts = {name: value for name in BESIDE if (value := entry.metric(name)) is not None}
    return {
        "name": entry.model,
        "experiment": entry.record.experiment,
        "family": entry.family.title,
        "colour": entry.family.colour,
        "data": entry.data.title,
        "likelihood": entry.likelihood,
        "value": None if number is None else float(f"{number.value:.6g}"),
        "error": None if number is None or number.error is None else float(f"{number.error:.2g}"),
        "floor": None if number is None or number.floor is None else float(f"{number.floor:.6g}"),
        "metric": None if number is None else f"{number.metric}, {number.unit}",
        "seconds": entry.seconds,
        "clock": not entry.on_cpu,
        "latents": entry.declared.latents(entry.data.dim),
        "facts": facts,
        "seed": str(entry.record.config.get("seed", "—")),
        "machine": f"{run.get('machine', '?')}, {threads_of(run)}, {run.get('device', '?')}",
        "command": entry.command,
        "picture": of_run(entry.record.path, entry.data.shape, ends),
    }


def own_environment() -> Environment:
    """That of every page, with this one's script, and a policy that allows it."""
    jinja = environment(HERE, kind=KIND)
    others = str(jinja.globals["script"])
    script = f"{others}\n{(HERE / 'landscape.js').read_text(encoding='utf-8')}"
    before, now = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (others, script))
    jinja.globals["policy"] = str(jinja.globals["policy"]).replace(before, now)
    jinja.globals["script"] = script
    return jinja


def beside(shown: Shown, out: Path) -> dict[Path, Callable[[Path], object]]:
    """What belongs beside the page, and what writes it to a path: the tables as Markdown, frontier_DATA.png of each field, and
    gallery.png.
    """
    pictures: dict[str, Callable[[], Figure]] = {
        f"frontier_{file_name(field.title)}": partial(frontier.draw, field) for field in shown.fields
    }
    if shown.grid is not None:
        pictures["gallery"] = partial(gallery.draw, shown.grid)
    text = f"<!-- {MADE} -->\n\n{in_markdown(shown.fields, shown.grid)}"
    tables = partial(Path.write_text, data=text, encoding="utf-8")
    return {out.with_suffix(".md"): tables} | {
        out.parent / f"{name}.png": partial(_save, draw) for name, draw in pictures.items()
    }


def _save(draw: Callable[[], Figure], path: Path) -> None:
    draw().savefig(path, format="png", dpi=110, metadata={"Software": MADE})


def write(shown: Shown, out: Path) -> list[Path]:
    """The page and what belongs beside it, the names of which are returned.

    Raises:
        UserError: a file of such a name is not one that was written so: it is the user's.
    """
    others = beside(shown, out)
    for path in others:
        if path.exists() and not is_marked(path, MADE):
            said = f"{path} exists and was not made by genexp landscape"
            raise UserError(said, hint="move it, or --out FOLDER/landscape.html, in a folder of its own")
    write_page(out, page(shown), KIND)
    for path, put in others.items():
        with Replacing(path) as (temporary, _):
            put(temporary)
    return [*others]


def file_name(title: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in title.replace(", ", "_"))
