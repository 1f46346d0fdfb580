"""Arrays → pictures and animations. No model, no path, no configuration, and nothing of the user's matplotlib.

A notebook's kernel leaves its backend in MPLBACKEND to every program it starts, and where that is not installed matplotlib
cannot be imported. So it is imported here without, before any module of this package asks for it. Who imports matplotlib as well,
before or after, has the backend of their own.
"""

import os
import sys
from contextlib import suppress


def _import_matplotlib() -> None:
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):  # of one that is not installed
            matplotlib.rcParams["backend"] = backend


if "matplotlib" not in sys.modules:
    _import_matplotlib()
