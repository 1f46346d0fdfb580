"""Which models can be trained on which data: known from the data's spec alone, before any example is read."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import torch

from genexp.config.catalogue import entries
from genexp.config.composition import compose
from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.errors import UserError, unknown
from genexp.models.base import check_learns
from genexp.registry import datasets, models
from genexp.settings import RunSettings


def suitable(dataset: str, config_dirs: Sequence[Path] = ()) -> dict[str, str | None]:
    """For each model, in its default settings, why it cannot be trained on the data set in its own; None where it can.

    UserError where the data set does not exist, or is nothing without further settings.
    """
    if dataset not in entries("datasets", config_dirs):
        raise unknown("dataset", dataset, entries("datasets", config_dirs))
    names = [*entries("models", config_dirs)]
    spec, knows = spec_of(compose([f"dataset={dataset}"], config_dirs).settings)
    return {name: refusal(compose([f"model={name}"], config_dirs).settings.model, spec, knows) for name in names}


def spec_of(settings: RunSettings) -> tuple[DataSpec, frozenset[str]]:
    """That of the data set that the settings describe, and what is known of it; files of a known kind are not read for it."""
    builder = datasets[settings.dataset["name"]]
    known = getattr(builder, "known_spec", None)
    spec = known(datasets.validate(settings.dataset)) if known else None
    if spec is not None:
        return spec, frozenset()
    data = datasets.build(settings.dataset, Path(settings.data_dir), Context())
    return data.spec, data.knows


def refusal(model: dict[str, Any], spec: DataSpec, knows: Set[str] = frozenset()) -> str | None:
    """Why a model cannot be trained on data of this spec, of which one `knows`, in one line; None where it can."""
    try:
        with torch.random.fork_rng(devices=[]):
            check_learns(models.build(model, spec, Context()), knows)
    except UserError as mistake:
        return mistake.message
    return None
