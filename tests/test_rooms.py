"""Rooms: the folders and single modules of genexp. Arrows between them go down only, and nobody names another's members."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import get_args

from genexp.capabilities import Ability, Known, Objective
from genexp.measures.record import Constraint, measures
from genexp.registry import datasets, models

ROOT = Path(__file__).parent.parent / "genexp"

# Where members are named all the same, and why.
CASES = ("article", "bench", "commands.bench", "lectures")  # lists of cases: data of their own
NAMING = {
    "fetch.sets": "what can be fetched, by the data set that it is for",
    "data.fruit": "its embedded stand-in",
    "data.mnist": "its embedded stand-in",
    "sweep.gallery": "one picture of two measures, which are its subject",
    "landscape.entries": "which numbers are likelihoods, and of what kind; what is measured of a cost: its subject",
    "landscape.plan": "the data that all families are held against, unless others are asked for",
    "measures.another_family": "families that can have one shape alone, and one that bends: its subject",
    "folder.earlier": "spellings of earlier versions, and what they are called now",
}
# Names of members that are words of another vocabulary too. (Those of genexp.capabilities are known without this list.)
HISTORY = {  # keys of history.jsonl and run.json
    *("steps", "best_step", "seconds_train", "cpu_seconds_train", "samples_per_second", "precision"),
}
TERMS = {
    "neg_elbo",
    "reconstruction",
    "kl_to_prior",
    "acceptance",
    "energy_error",
    "mutual_information",
    "total_correlation",
    "dimension_kl",
    "missed",
}  # of a model's own objective, or of its chains
SETTINGS = {
    *("importance_samples", "amortization_images", "normal", "uniform", "table", "mixture", "mmd", "kl"),
}  # keys and choices of settings
WORDS = {*get_args(Ability), *get_args(Known), *get_args(Objective), *get_args(Constraint), *HISTORY, *TERMS, *SETTINGS}
REGISTERING = {"register", "part", "measure", "picture", "film", "heldout_term"}  # what is told a member's own name


@cache
def modules() -> dict[str, ast.Module]:
    """Each module of genexp, read."""
    files = {".".join(file.relative_to(ROOT.parent).with_suffix("").parts): file for file in sorted(ROOT.rglob("*.py"))}
    return {name.removesuffix(".__init__"): ast.parse(file.read_text(encoding="utf-8")) for name, file in files.items()}


def room(module: str) -> str:
    """`genexp.data.base` is in the room `data`; the package itself is its own."""
    return [*module.split("."), "genexp"][1]


@cache
def arrows() -> dict[str, set[str]]:
    """Which rooms each room imports from, wherever in its modules."""
    found: dict[str, set[str]] = {}
    for module, tree in modules().items():
        here = room(module)
        for node in ast.walk(tree):
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


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings of a module with their lines, but for docstrings and for the names under which members announce themselves."""
    own = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            own.add(id(node.value))
        elif isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            own |= {id(argument) for argument in node.args[:1] if function in REGISTERING}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in own:
            yield node.lineno, node.value


def named(tree: ast.AST, names: set[str]) -> list[tuple[int, str]]:
    """Which of the members a module names: as a string, or as `model=NAME` in one."""
    found = []
    for line, text in strings(tree):
        found += [(line, text)] if text in names - WORDS else []
        found += [(line, name) for name in re.findall(r"\b(?:model|dataset)=(\w+)", text) if name in names]
    return found


def test_nobody_names_anothers_models_data_sets_or_measures() -> None:
    members = [(name, registry[name]) for registry in (models, datasets) for name in registry.names()]
    homes: dict[str, set[str]] = {}
    for name, member in [*members, *((each.name, each.function) for each in measures.all())]:
        if member.__module__.startswith("genexp."):  # and no plugin of another test
            homes.setdefault(name, set()).add(member.__module__)
    found = {}
    for module, tree in modules().items():
        where = module.removeprefix("genexp.")
        names = {name for name, there in homes.items() if module not in there}
        if where not in NAMING and not f"{where}.".startswith(tuple(f"{case}." for case in CASES)):
            found |= {f"{module}:{line}": name for line, name in named(tree, names)}
    assert not found


def test_a_member_that_is_named_is_found() -> None:
    names, found = {"vae", "leak", "nll"}, ["x = 'vae'", "f(leak='leak')", "f'model=vae {x}'", "part(1, 'vae')"]
    assert [bool(named(ast.parse(text), names)) for text in found] == [True] * 4
    for text in ("x.register('vae')", "x = vae", "x = 'nll'", "x = 'a vae'", "def f():\n    'vae'"):
        assert not named(ast.parse(text), names)


def test_nobody_knows_of_the_article() -> None:
    """What is read with the rooms of its members, it is read by name; those who run it and measure against it stand above."""
    known = arrows()
    assert {room for room, there in known.items() if "article" in there} == {"bench", "reproduce"}
