"""Tables as text: for a terminal of some width, as GitHub's Markdown, as CSV."""

import csv
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 40  # characters of one cell in a terminal
GAP = "  "


@dataclass(frozen=True)
class Table:
    """Cells as text. `feet` are rows that stand apart at the end; `numeric` columns are set flush right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    feet: Sequence[Sequence[str]] = ()
    numeric: Sequence[bool] = ()

    def part(self, columns: Sequence[int]) -> "Table":
        """Only these columns."""
        rows, feet = ([[row[at] for at in columns] for row in rows] for rows in (self.rows, self.feet))
        return Table([self.header[at] for at in columns], rows, feet, [self.numeric[at] for at in columns])


def text(table: Table, width: int | None = None, needed: int | None = None) -> tuple[str, list[str]]:
    """The table for a terminal `width` characters wide (None: as wide as it comes), and the columns that found no room.

    One row a line where that fits. Else on its side, one row a column, where all rows fit beside each other. Else, if
    that is allowed, without the last columns, but with the first `needed` ones. Else on its side in several blocks.
    """
    table = _clean(table)
    if width is None or sum(_widths(table)) + len(GAP) * (len(table.header) - 1) <= width:
        return _lines(table), []
    blocks = _blocks(table, width)
    if len(blocks) == 1:
        return _lines(blocks[0]), []
    widths = _widths(table)
    fitting = max(at for at in range(len(widths) + 1) if sum(widths[:at]) + len(GAP) * (at - 1) <= width or at == 0)
    if needed is not None and fitting >= needed:
        return _lines(table.part(range(fitting))), list(table.header[fitting:])
    return "\n\n".join(map(_lines, blocks)), []


def markdown(table: Table) -> str:
    """A table as GitHub shows it."""
    rule = [":--" if not numeric else "--:" for numeric in table.numeric]
    cells = [[_escaped(cell) for cell in row] for row in (table.header, *table.rows)]
    feet = [[f"*{_escaped(cell)}*" if cell else "" for cell in row] for row in table.feet]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:], *feet))


def comma_separated(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """CSV as RFC 4180 has it: lines end with CR LF, cells with commas, quotes or line ends are quoted. None is empty."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([header, *rows])
    return buffer.getvalue()


def _lines(table: Table) -> str:
    widths = _widths(table)
    lines = [_line(table.header, widths, table.numeric), *(_line(row, widths, table.numeric) for row in table.rows)]
    if table.feet:
        lines += [GAP.join("─" * width for width in widths), *(_line(row, widths, table.numeric) for row in table.feet)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    spaces = [" " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
    parts = [space + cell if right else cell + space for cell, space, right in zip(cells, spaces, numeric, strict=True)]
    return GAP.join(parts).rstrip()


def _blocks(table: Table, width: int) -> list[Table]:
    """The table on its side, rows and feet as columns, as many side by side as fit and at least one; no empty lines."""
    columns = list(zip(table.header, *table.rows, *table.feet, strict=True))
    heads, lines = columns[0], columns[1:]
    side = Table(heads, lines, numeric=[False] + [True] * (len(heads) - 1))
    widths, blocks, block = _widths(side), [], [0]
    for at in range(1, len(heads)):
        if len(block) > 1 and sum(widths[each] + len(GAP) for each in (*block, at)) - len(GAP) > width:
            blocks.append(side.part(block))
            block = [0]
        block.append(at)
    return [_without_empty_lines(block) for block in (*blocks, side.part(block))]


def _without_empty_lines(table: Table) -> Table:
    return Table(table.header, [row for row in table.rows if any(row[1:])], numeric=table.numeric)


def _widths(table: Table) -> list[int]:
    return [max(map(_width, column)) for column in zip(table.header, *table.rows, *table.feet, strict=True)]


def _width(cell: str) -> int:
    """Columns that a terminal needs for it: two for an East Asian wide character, none for a combining one."""
    return sum(0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in cell)


def _clean(table: Table) -> Table:
    """Nothing in a cell moves the cursor, and no cell is longer than LONGEST."""

    def clean(cell: str) -> str:
        cell = "".join(sign if sign.isprintable() else "�" for sign in " ".join(cell.split()))
        return cell if len(cell) <= LONGEST else cell[: LONGEST - 1] + "…"

    header, rows, feet = ([[clean(cell) for cell in row] for row in rows] for rows in ([table.header], table.rows, table.feet))
    return Table(header[0], rows, feet, table.numeric)


def _escaped(cell: str) -> str:
    cell = " ".join(cell.split())
    if cell.startswith("`") and cell.endswith("`") and cell.count("`") == 2:  # code, where only a table's own sign is escaped
        return cell.replace("|", "\\|")
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), ("\\", "\\\\"), ("|", "\\|"), ("*", "\\*"), ("`", "\\`")):
        cell = cell.replace(sign, instead)
    return cell
