"""Numbers of a configuration that follow from how fine the data are: `${by_detail:192}` in a YAML file.

What a code of 33 modules a side needs, quiet zone counted, a larger one needs more of: cells of a grid, points of a batch,
samples to be read from. A stored configuration holds the numbers that came out.
"""

import math
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genexp.errors import UserError

PIXELS = 2  # cells of a picture that are no modules of a code: what is black there is several of them wide
USUAL = 33  # modules a side of a code of version 2, in its quiet zone: what the numbers in the YAML files are for


def detail(dataset: dict[str, Any], data_dir: str) -> float:
    """How many times as many cells lie along a side of the data as along the usual code's; 1 of coarser data, of those that are
    no cells, and where they cannot be had, which whoever builds them says.
    """
    from genexp.registry import datasets  # imports torch

    try:
        if "cells" not in getattr(datasets[dataset["name"]], "knows", ()):
            return 1.0
        data = datasets.build(dataset, Path(data_dir))
        return max(1.0, 2 / data.density.cell / (1 if getattr(data, "is_code", True) else PIXELS) / USUAL)
    except (UserError, KeyError):
        return 1.0


def by_detail(value: float, power: float = 1.0, least: float = -math.inf, most: float = math.inf, *, _root_: DictConfig) -> float:
    """value · detail^power, between `least` and `most`; a whole number where `value` is one."""
    values = OmegaConf.to_container(_root_.dataset, resolve=True)
    found = min(max(value * detail(values, str(_root_.data_dir)) ** power, least), most)  # type: ignore[arg-type]
    return round(found) if isinstance(value, int) else float(f"{found:.3g}")


def register() -> None:
    """Let OmegaConf know it: before a configuration is resolved."""
    OmegaConf.register_new_resolver("by_detail", by_detail, replace=True, use_cache=False)
