"""Members that announce themselves when their module is read."""

import importlib
import pkgutil


def read_modules(package: str) -> None:
    """Import every module of a package, in the order of their names."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
