"""A user's own Python file, named on the command line: it registers data sets and models when it is imported."""

import importlib.util
import sys
from pathlib import Path

from genexp.errors import UserError


def load_plugin(path: Path) -> None:
    """Import the Python file at `path`. Only ever called for files the user names; no configuration can."""
    if not path.is_file():
        raise UserError(f"--plugin {path}: no such file")
    name = f"genexp_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UserError(f"--plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as failure:
        raise UserError(f"--plugin {path}: {type(failure).__name__}: {failure}") from failure
