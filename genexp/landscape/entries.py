"""What a run folder says of its model for the landscape: one likelihood that can be held against others', and what it cost."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from genexp.config.choices import ANY
from genexp.context import Context
from genexp.data.base import GREYS, DataSpec
from genexp.data.units import units_of
from genexp.errors import UserError
from genexp.folder.records import Record, read_record
from genexp.landscape.families import Declared, Family, Kind, declared, from_model
from genexp.latent.likelihoods import likelihoods
from genexp.printable import command_line
from genexp.registry import models
from genexp.runs.trained import read_spec

LEAST = 1e-2  # CPU seconds: what is fitted in closed form takes hardly more
LIKELIHOODS = ("nll", "quadrature_nll", "iwae_nll", "neg_elbo")  # of several, the first is the one to look at
IN_BITS = "bits_per_dim"
KL = "kl"
RECIPE = "landscape"  # the experiment whose settings suit most models
FOR_ALL = {RECIPE, ANY, "?"}  # experiments that suit every model, and none at all
COSTS, SIZE = ("seconds_density", "seconds_sample"), "parameters"
HANDED_OVER = {"name", "flat", "binarise", "draw"}  # settings of a data set that change no example, or have another name for it
BITS, NATS = "bits per dimension", "nats"


@dataclass(frozen=True)
class Number:
    """−ln p(x) of held-out examples in nats, or −log₂ p(x) of each number in bits; `kind`: whether it is that or a bound.

    `scale`, `shift`: value = scale · nats + shift, by which the curve of the training is in the same unit.
    """

    metric: str
    value: float
    kind: Kind
    unit: str
    scale: float
    shift: float
    error: float | None = None
    floor: float | None = None


@dataclass(frozen=True)
class Data:
    """Which data a run had: the same `key`, the same data (as greys or with noise, as pictures or as points).

    `settings`: those of a density, of which every example is drawn anew. A funnel of ten dimensions is another than one of two.
    """

    origin: str
    name: str
    draw: str
    shape: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        return (self.origin, self.draw, str(self.dim), json.dumps(self.settings, sort_keys=True, default=str))

    @property
    def dim(self) -> int:
        return math.prod(self.shape)

    @property
    def title(self) -> str:
        return f"{self.name}, {self.draw} zeros and ones" if self.draw else self.name


@dataclass(frozen=True)
class Entry:
    """A run that has finished."""

    record: Record
    model: str
    declared: Declared
    data: Data
    number: Number | None

    def above(self, entropy: float | None) -> float | None:
        """Nats above the best that there is: KL(data ‖ model) by quadrature where that was taken, else by the test examples.

        Args:
            entropy: the best, where other runs on these data know it and this one does not.
        """
        if self.number is None or self.number.unit != NATS:
            return None
        if self.number.metric == "nll" and self.number.floor is not None and (kl := self.metric(KL)) is not None:
            return kl
        floor = entropy if self.number.floor is None else self.number.floor
        return None if floor is None else self.number.value - floor

    @property
    def likelihood(self) -> Kind:
        """What its number is; where there is none, what the model can say at all."""
        return self.declared.likelihood if self.number is None else self.number.kind

    @property
    def family(self) -> Family:
        return self.declared.family

    @property
    def experiment(self) -> str | None:
        """The setting known for this model that it was trained by; None where it was one for all."""
        return None if self.record.experiment in FOR_ALL else self.record.experiment

    def metric(self, name: str) -> float | None:
        value = self.record.metrics.get(name)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU seconds of the training were counted; else there are those of the clock on the wall."""
        return self.metric("cpu_seconds_train") is not None and str(self.record.run.get("device", "cpu")).startswith("cpu")

    @property
    def seconds(self) -> float | None:
        """Of training, on the CPU; of a run that has not counted them, by the clock."""
        found = self.metric("cpu_seconds_train") if self.on_cpu else self.metric("seconds_train")
        return None if found is None else max(found, LEAST)

    def curve(self, above_floor: bool = False) -> list[tuple[float, float]]:
        """The best held-out loss so far over the seconds of training, in the unit of the number, where it is trained on that.

        Args:
            above_floor: less what the loss of these examples is at best; empty where that is not known.
        """
        floor = self.metric("floor/heldout_loss") if above_floor else 0.0
        if self.number is None or self.declared.objective not in ("nll", "bound") or floor is None:
            return []
        found, best = [], math.inf
        for line in self.record.history():
            seconds = line.get("cpu_seconds" if self.on_cpu else "seconds", 0.0)
            loss = line.get("heldout/loss")
            if loss is not None and math.isfinite(loss) and seconds > 0:
                best = min(best, self.number.scale * loss + self.number.shift - floor)
                found.append((seconds, best))
        return found

    @property
    def command(self) -> str:
        words = [word for word in self.record.overrides if not word.startswith(("run_dir=", "hydra."))]
        return command_line(["genexp", "run", *words])


def read_entries(paths: Iterable[Path]) -> list[Entry]:
    """Of the runs that have finished; what cannot be read is left out.

    Where a run of an earlier version does not say what its model can do, another run of that model does.
    """
    found = [entry for path in paths if (entry := entry_of(read_record(path))) is not None]
    known = {(entry.model, *kind): entry.declared for entry in found if entry.declared.can for kind in ((), (entry.data.key,))}
    silent = Declared()
    return [
        replace(entry, declared=known.get((entry.model, entry.data.key)) or known.get((entry.model,), silent))
        if not entry.declared.can
        else entry
        for entry in found
    ]


def entry_of(record: Record) -> Entry | None:
    """None of a run that has not finished, or whose folder does not say what its data were."""
    try:
        spec = read_spec(record.path)
    except UserError:
        return None
    if record.status != "finished" or spec is None or not record.metrics:
        return None
    model = record.config.get("model")
    settings: dict[str, Any] = model if isinstance(model, dict) else {}
    said = declared(record.run.get("model")) or built_again(settings, spec)
    dataset = record.config.get("dataset")
    chosen: dict[str, Any] = dataset if isinstance(dataset, dict) else {}
    name = str(chosen.get("name", "data"))
    draw = draw_of(record.metrics) if spec.kind == "bits" else ""
    kind = spec.kind if spec.kind == "bits" else ""
    drawn = content(chosen) if record.data.examples is None else {}
    data = Data(f"{record.data.origin or name} {kind}", name, draw, spec.shape, drawn)
    about = record.run["data"].get("noisy_levels")
    levels = about if isinstance(about, int) and about > 0 else None
    units = units_of(record.run["data"].get("units"), spec.shape[0])
    number = number_of(record.metrics, said, spec, settings, draw, levels, units.log_scale if units else 0.0)
    return Entry(record, str(settings.get("name", "?")), said, data, number)


def content(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a data set's settings that say which data they are."""
    return {key: value for key, value in dataset.items() if key not in HANDED_OVER}


def built_again(settings: dict[str, Any], spec: DataSpec) -> Declared:
    """Of a run of an earlier version: its model is built from its settings and asked."""
    try:
        with torch.random.fork_rng(devices=[]):
            return from_model(models.build(settings, spec, Context()))
    except (UserError, KeyError, TypeError, ValueError, RuntimeError):
        return Declared()


def draw_of(metrics: Mapping[str, Any]) -> str:
    """How pictures became zeros and ones, as the names of the likelihoods have it."""
    endings = (name.partition("/") for name in metrics)
    return next((ending for name, slash, ending in endings if slash and name in LIKELIHOODS), "")


def number_of(
    metrics: Mapping[str, Any],
    said: Declared,
    spec: DataSpec,
    settings: Mapping[str, Any],
    draw: str = "",
    noisy_levels: int | None = None,
    log_scale: float = 0.0,
) -> Number | None:
    """The likelihood of a run in the unit in which its data are compared; None where it has none that can be.

    Greys are compared by the bits that each costs: exactly those of whole numbers, else bounded by a density of y = (k + u)/K
    with noise u, −log₂ P(k) ≤ E_u[−log₂ p(y)] + D log₂ K. Points, and zeros and ones, are compared by nats.

    Args:
        noisy_levels: K, where the data set itself adds the noise.
        log_scale: Σ ln of the units of columns, which the number is in and the curve of the training not.
    """
    dim, pictures = math.prod(spec.shape), len(spec.shape) == 3 and spec.kind != "bits"
    per_dim, levels = 1 / (dim * math.log(2)), noisy_levels or spec.greys
    shift = 0.0 if "discrete" in said.can else math.log2(levels)
    if spec.kind != "bits" and IN_BITS in metrics:
        if "posterior" in said.can and levels != GREYS:
            return None  # which earlier runs took for bytes
        if isinstance(nats := metrics.get("nll"), int | float) and isinstance(bits := metrics[IN_BITS], int | float):
            shift = bits - per_dim * nats
        return _number(metrics, IN_BITS, "exact" if "discrete" in said.can else "bound", BITS, (per_dim, shift))
    if pictures or not is_density(settings, spec):
        return None
    for name in LIKELIHOODS:
        own = f"{name}/{draw}" if draw else name
        if isinstance(metrics.get(own), int | float):
            if noisy_levels is not None:
                return _number(metrics, own, "bound", BITS, (per_dim, shift), convert=True)
            bound = name in ("iwae_nll", "neg_elbo")
            return _number(
                metrics, own, "bound" if bound else "estimate" if "estimate" in said.can else "exact", NATS, (1.0, log_scale)
            )
    return None


def is_density(settings: Mapping[str, Any], spec: DataSpec) -> bool:
    """Whether the model's p(x|z), if it has one, is a density of real numbers, or a probability of bits."""
    part = settings.get("likelihood")
    name = part.get("name") if isinstance(part, dict) else None
    return (
        name is None or spec.kind == "bits" or (name in likelihoods.names() and "real" in getattr(likelihoods[name], "kinds", ()))
    )


def _number(
    metrics: Mapping[str, Any], name: str, kind: Kind, unit: str, scaled: tuple[float, float], convert: bool = False
) -> Number | None:
    value, error, floor = (metrics.get(key) for key in (name, f"{name}_error", f"floor/{name}"))
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    scale, shift = scaled
    if convert:
        value = scale * value + shift
        error = scale * error if isinstance(error, int | float) else None
    known = floor if isinstance(floor, int | float) and floor != 0 and not convert else None
    return Number(name, float(value), kind, unit, scale, shift, error if isinstance(error, int | float) else None, known)
