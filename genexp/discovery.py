"""Members that announce themselves when their module is read."""

import importlib
import pkgutil
from importlib.util import find_spec

MIXED = ("genexp.article",)  # rooms of members of several kinds: the module `latent` there is read with the package genexp.latent


def read_modules(package: str) -> None:
    """Import every module of a package, in the order of their names; then those of the mixed rooms that bear its name."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
    for room in MIXED:
        if find_spec(name := f"{room}.{package.rpartition('.')[2]}"):
            importlib.import_module(name)


def read_module(package: str, name: str) -> None:
    """Import the module of a package that bears that name, where there is one."""
    if name.isidentifier() and find_spec(f"{package}.{name}"):
        importlib.import_module(f"{package}.{name}")
