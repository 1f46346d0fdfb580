"""A trained run, opened again from its folder: its configuration and one of its checkpoints."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from genexp.config.composition import compose_stored
from genexp.context import Context
from genexp.data.base import KINDS, DataSpec
from genexp.data.own_files import own_files
from genexp.data.units import Units, units_of
from genexp.errors import UserError
from genexp.files import file_digest
from genexp.fit.last_look import take_last_look
from genexp.folder import checkpoint
from genexp.folder.finding import find_run
from genexp.folder.records import read_run
from genexp.machine.device import choose_device, prepare_cpu
from genexp.machine.memory import weights_fit
from genexp.models.base import GenerativeModel
from genexp.registry import datasets, models
from genexp.seeds import seed_for, unmoved
from genexp.settings import RunSettings
from genexp.subject import Subject

Which = Literal["best", "last"]


@dataclass(frozen=True)
class Trained:
    """A model as a run left it, in evaluation mode on its device; `spec` is what it knew of its data."""

    path: Path
    settings: RunSettings
    model: GenerativeModel
    spec: DataSpec
    step: int
    units: Units | None = None  # of its data, where these are a table

    @property
    def device(self) -> torch.device:
        return self.model.device

    def subject(self, data: Any = None) -> Subject:
        """The model with the run's own data, or with other `data`. UserError where the model cannot take its examples."""
        data = build_data(self.settings, self.device, self.path) if data is None else data
        if data.spec.shape != self.spec.shape:
            raise UserError(f"{self.path}: its data are not of the shape that its model was trained on")
        return Subject(self.model, data, self.settings, self.device)


def open_run(path: Path, which: Which = "best", device: str | None = None, overrides: tuple[str, ...] = ()) -> Trained:
    """The model of the run in `path`, with the weights of its checkpoint `best` or `last` (there the running average).

    Nothing of the folder is executed, and its data need not be there, but for the last weights of a model that fits something to
    training examples once those are learnt: it does so here, as the run did with the best. UserError where the folder is not a
    run, has no such checkpoint, or one that does not fit its configuration.
    """
    settings = compose_stored(path, overrides, "is evaluated").settings
    state = checkpoint.load(path / "checkpoints" / f"{which}.pt")
    spec = read_spec(path)
    chosen = choose_device(device or settings.device)
    prepare_cpu()
    torch.manual_seed(seed_for(settings.seed, "model"))  # weights that are not in the checkpoint would be the run's
    if spec is None:
        spec = build_data(settings, chosen, path).spec
    with weights_fit():
        model = models.build(settings.model, spec, context_of(chosen, path)).to(chosen)
    try:
        model.load_state_dict(state["model"] if which == "best" else state.get("average", state["model"]))
        step = int(state["step"] if which == "best" else state["position"]["step"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path}: its checkpoint {which}.pt does not fit its config.yaml", hint=checkpoint.CHANGED) from None
    if which == "last" and model.concludes:
        take_last_look(model, build_data(settings, chosen, path), settings.seed)
    return Trained(path, settings, model.eval(), spec, step, read_units(path, spec))


def context_of(device: torch.device, run: Path | None = None) -> Context:
    """What a model or data may ask for; where they belong to an earlier `run`, the runs must be those that it asked for then."""
    known = {} if run is None else read_run(run).get("runs", {})

    def open_other(name: str) -> tuple[Trained, dict[str, str]]:
        told = known.get(name) if isinstance(known, dict) else None
        before = told if isinstance(told, dict) else {}
        with unmoved(device):  # the weights that are built next do not depend on it
            other = open_run(find_other(name, before.get("folder"), run), device=device.type)
        now = {"folder": str(other.path.resolve()), "weights": file_digest(other.path / "checkpoints" / "best.pt")}
        if before and before.get("weights") != now["weights"]:
            raise UserError(f"{other.path}: its weights are not those that {run} was trained with")
        return other, now

    return Context(open_other)


def find_other(name: str, then: object, run: Path | None) -> Path:
    """The run called `name`: where `run` was trained with it, in the folder that it was in `then`, as long as it is there."""
    if not isinstance(then, str):
        return find_run(name)
    try:
        return find_run(then if Path(then).is_dir() else name)
    except UserError:
        said = f"the run that {run} was trained with is not in {then} any more"
        raise UserError(said, hint=f"put it back, or leave a link: ln -s FOLDER {shlex.quote(then)}") from None


def build_data(settings: RunSettings, device: torch.device, run: Path | None = None, context: Context | None = None) -> Any:
    """The data set that `settings` describe; with `run`, files of the user's own only if this run was trained on them.

    `context`: what it may ask for; None: as that of a model on the same device.
    """
    if run is not None:
        check_own_files(settings, run)
    return datasets.build(settings.dataset, Path(settings.data_dir), context or context_of(device, run)).to(device)


def check_own_files(settings: RunSettings, run: Path) -> None:
    """UserError unless the user's own files that `settings` name have the digest in run.json; before any is opened as a picture.

    Another's config.yaml may name any picture of yours. Who has neither the picture nor a run of yours that was trained on
    it cannot know its digest.
    """
    files = own_files(settings)
    if files is None:
        return
    told = read_own_files(run)
    if told is None:
        raise UserError(f"{run}: its run.json does not say which files it was trained on", hint="begin a run with yours")
    if files.digest() != told:
        raise UserError(
            f"{run}: the files that its config.yaml names are not those that it was trained on, as its run.json has it",
            hint="put those back in their place, or begin a run with these",
        )


def read_own_files(path: Path) -> str | None:
    """The digest of the user's own files that the run in `path` was trained on, as far as its run.json says."""
    record = read_run(path).get("data")
    digest = record.get("own_files") if isinstance(record, dict) else None
    return digest if isinstance(digest, str) else None


def read_units(path: Path, spec: DataSpec) -> Units | None:
    """The units that the samples of a run have, where its run.json says them."""
    record = read_run(path).get("data")
    return units_of(record.get("units"), spec.shape[0]) if isinstance(record, dict) else None


def read_spec(path: Path) -> DataSpec | None:
    """What run.json says of the run's data; None where it says nothing."""
    try:
        record = read_run(path)["data"]
        shape, classes, kind = record["shape"], record["classes"], record.get("kind")  # older runs did not say the kind
        levels, alphabet = record.get("levels"), record.get("alphabet", "")
    except (UserError, KeyError, TypeError, AttributeError):
        return None
    right = isinstance(shape, list) and all(type(size) is int and 0 < size < 1 << 16 for size in shape) and 0 < len(shape) < 5
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    counted = levels is None or (type(levels) is int and 0 < levels < 1 << 20)
    told = isinstance(alphabet, str) and len(alphabet) in (0, levels)
    if not (right and named and counted and told and (kind is None or (isinstance(kind, str) and kind in KINDS))):
        raise UserError(f"{path / 'run.json'}: its record of the data is not one")
    return DataSpec(tuple(shape), tuple(classes), kind, levels, alphabet)
