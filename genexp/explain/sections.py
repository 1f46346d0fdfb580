"""What the docstring of a model, or of an objective, says to the reader of a report.

In short:
    One or two sentences: what is learnt, and why.

Equation:
    LaTeX, one equation a line; a line that is further in goes on with the one above.

Objective:
    LaTeX likewise: what is minimised. A model whose part `objective` is chosen by name leaves it to that.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SHORT, EQUATION, OBJECTIVE = "In short", "Equation", "Objective"
HEADING = re.compile(r"([A-Z][a-z]+(?: [a-z]+)?):\s*(.*)")
INDENT = 4


@dataclass(frozen=True)
class Words:
    """`first`: the first sentence of the docstring; the others are empty where it has no such section."""

    first: str
    short: str
    equations: tuple[str, ...]
    objective: tuple[str, ...]


def words_of(component: Callable[..., Any]) -> Words:
    """What the docstring of a class or function says; of one without any, nothing."""
    sections = sections_of(inspect.getdoc(component) or "")
    first = re.split(r"(?<=[.]) ", " ".join(sections[""]).strip(), maxsplit=1)[0]
    return Words(
        first=first.rstrip(".;:, "),
        short=" ".join(line.strip() for line in sections.get(SHORT, ())),
        equations=_joined(sections.get(EQUATION, [])),
        objective=_joined(sections.get(OBJECTIVE, [])),
    )


def sections_of(text: str) -> dict[str, list[str]]:
    """Heading → its lines, as far in as they are; "" is the first paragraph. What is not under a heading of ours is left out."""
    lines = text.splitlines()
    paragraph = lines.index("") if "" in lines else len(lines)
    found: dict[str, list[str]] = {"": lines[:paragraph]}
    under: list[str] | None = None
    for line in lines[paragraph:]:
        if line[:1].strip():  # at the margin
            heading = HEADING.fullmatch(line)
            under = found.setdefault(heading[1], []) if heading and heading[1] in (SHORT, EQUATION, OBJECTIVE) else None
        elif under is not None and line.strip():
            under.append(line)
    return found


def _joined(lines: list[str]) -> tuple[str, ...]:
    """One text for each line that is no further in than a section is."""
    found: list[str] = []
    for line in lines:
        further = line.startswith(" " * (INDENT + 1))
        found[len(found) - further :] = [f"{found[-1]} {line.strip()}"] if further and found else [line.strip()]
    return tuple(found)
