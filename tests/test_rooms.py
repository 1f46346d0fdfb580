"""Rooms: the folders and single modules of genexp. Arrows between them go down only: there is no circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent / "genexp"


def room(module: str) -> str:
    """`genexp.data.base` is in the room `data`; the package itself is its own."""
    return [*module.split("."), "genexp"][1]


def arrows() -> dict[str, set[str]]:
    """Which rooms each room imports from, wherever in its modules."""
    found: dict[str, set[str]] = {}
    for file in ROOT.rglob("*.py"):
        here = room(".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "genexp":
                names = [f"{node.module}.{name.name}" for name in node.names]
            elif isinstance(node, ast.Import):
                names = [name.name for name in node.names if name.name.split(".")[0] == "genexp"]
            found.setdefault(here, set()).update(there for there in map(room, names) if there != here)
    return found


def test_arrows_go_down_only() -> None:
    known = arrows()
    assert {"data", "fit", "folder", "measures", "models", "runs"} <= {*known}
    assert "data" in known["models"]  # the arrows are seen
    order = [*TopologicalSorter(known).static_order()]  # raises CycleError, which names the circle
    for low, high in (("data", "models"), ("bijections", "models"), ("models", "fit"), ("folder", "fit"), ("fit", "runs")):
        assert order.index(low) < order.index(high)
