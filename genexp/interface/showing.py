"""What a notebook shows of a run: its numbers beside their floors, its pictures, and the page of its report."""

import base64
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from genexp.errors import UserError, unknown
from genexp.printable import printable
from genexp.report.folder import Folder, Unreadable
from genexp.report.gather import gather
from genexp.report.pictures import LARGEST_FILE
from genexp.report.side_by_side import Row, headlines, number_rows
from genexp.summary import number_text

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = {".png": "image/png", ".gif": "image/gif"}
TABLE = "border-collapse:collapse;margin:.4em 0"


class Page:
    """The page of `genexp report`, in a notebook a frame of its own: what moves in it moves there.

    Args:
        html: the whole page.
        height: of the frame, pixels.
    """

    def __init__(self, html: str, height: int = 900) -> None:
        self.html, self.height = html, height

    def save(self, path: str | Path) -> Path:
        """Write it to a file. UserError where there is something else than such a page already."""
        from genexp.report.write import write_page

        write_page(Path(path), self.html)
        return Path(path)

    def _repr_html_(self) -> str:
        style = f"width:100%;height:{self.height}px;border:1px solid #ccc;border-radius:8px"
        return f'<iframe title="report" style="{style}" srcdoc="{escape(self.html)}"></iframe>'

    def __repr__(self) -> str:
        return f"<page of {len(self.html.encode()) / 1e6:.1f} MB>"


class Picture:
    """A picture or film of a run, in the file `path`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.path = folder / name

    def read(self) -> bytes:
        """The file. UserError where it cannot be read, or is a link to another place."""
        try:
            return Folder(self._folder).read(self._name, LARGEST_FILE)
        except Unreadable as why:
            raise UserError(f"{self.path}: {why}") from None

    @property
    def image(self) -> "Image":
        """It as Pillow's image; of a film, all frames."""
        import io

        from PIL import Image

        return Image.open(io.BytesIO(self.read()), formats=["PNG", "GIF"])

    def html(self) -> str:
        """An <img> with everything inside."""
        content = base64.b64encode(self.read()).decode()
        return f'<img alt="{_safe(self.path.stem)}" style="max-width:100%" src="data:{KINDS[self.path.suffix]};base64,{content}">'

    def _repr_png_(self) -> bytes | None:
        return self.read() if self.path.suffix == ".png" else None

    def _repr_html_(self) -> str | None:
        return None if self.path.suffix == ".png" else self.html()

    def __repr__(self) -> str:
        return f"<{'picture' if self.path.suffix == '.png' else 'film'} {self.path}>"


class Figures(dict[str, Picture]):
    """Name → picture or film. A name that is not there is answered with the nearest that is."""

    def __missing__(self, name: str) -> Picture:
        raise unknown("figure", str(name), self)

    def _repr_html_(self) -> str:
        return "".join(f"<figure><figcaption>{_safe(name)}</figcaption>{each.html()}</figure>" for name, each in self.items())


def find_figures(path: Path) -> Figures:
    """The figures of the run in `path` by their names without ending, but `name.gif` where there is a `name.png` as well; and
    `samples_picture`, the picture of its samples.
    """
    folder, found = Folder(path), Figures()
    for name in [*folder.names("figures", ".png"), *folder.names("figures", ".gif")]:
        found[Path(name).name if Path(name).stem in found else Path(name).stem] = Picture(path, name)
    if (path / "samples" / "samples.png").is_file():
        found["samples_picture"] = Picture(path, "samples/samples.png")
    return found


def title_of(path: Path) -> str:
    """A run in a few words: experiment, state, and the number to look at first."""
    run = gather(path)
    first = [f"{row.name} {_beside(row)}" for row in headlines([run], most=1)]
    return printable(", ".join([run.experiment, run.status, *first]))


def page_of(path: Path) -> str:
    """A run in a notebook: the numbers to look at first beside their floors, all others folded away, and its samples."""
    run = gather(path)
    first = headlines([run])
    others = [row for row in number_rows([run]) if row not in first]
    parts = [f"<b>{_safe(run.experiment)}</b> &middot; {_safe(run.status)} &middot; <code>{_safe(str(path))}</code>"]
    if first:
        parts.append(_table(first))
    if others:
        parts.append(f"<details><summary>{len(others)} more numbers</summary>{_table(others)}</details>")
    if not first:
        parts.append("<p>not measured yet</p>")
    figures = find_figures(path)
    with suppress(UserError, KeyError):
        parts.append(figures["samples_picture"].html().replace("max-width:100%", "max-width:360px"))
    return f"<div>{''.join(parts)}</div>"


def _table(rows: Sequence[Row]) -> str:
    body = "".join(
        f'<tr><td style="text-align:left">{_safe(row.name)}</td><td><b>{_safe(number_text(row.cells[0].value))}</b></td>'
        f'<td style="text-align:left">{_safe(_known(row))}</td><td style="text-align:left">{_safe(row.meaning)}</td></tr>'
        for row in rows
    )
    return f'<table style="{TABLE}"><tbody>{body}</tbody></table>'


def _beside(row: Row) -> str:
    known = _known(row)
    return number_text(row.cells[0].value) + (f" ({known})" if known else "")


def _known(row: Row) -> str:
    return ", ".join(f"{kind.replace('_', ' ')} {number_text(value)}" for kind, value in row.cells[0].beside.items())


def _safe(text: str) -> str:
    return escape(printable(text))
