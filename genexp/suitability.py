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
    return {name: refusal_by_name(name, spec, knows, config_dirs) for name in names}


def refusal_by_name(name: str, spec: DataSpec, knows: Set[str], config_dirs: Sequence[Path] = ()) -> str | None:
    """Why the model cannot be trained in its default settings; of a flow that is refused a density: by what it can be."""
    model = compose([f"model={name}"], config_dirs).settings.model
    why = refusal(model, spec, knows)
    if why and "target" in knows and (model.get("objective") or {}).get("name") == "likelihood":
        choice = "model/objective=reverse_kl"
        other = compose([f"model={name}", choice], config_dirs).settings.model
        return f"it learns from examples, and a density by {choice}" if refusal(other, spec, knows) is None else why
    return why


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
