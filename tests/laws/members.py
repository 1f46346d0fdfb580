"""Every registered member in small settings, and with each of its choices made in turn."""

from collections.abc import Iterator, Set
from functools import cache
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from genexp.context import Context
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.registry import Registry, models

SMALL: dict[str, Any] = {  # wherever a member has a setting of this name
    "width": 12,
    "hidden_layers": 1,
    "depth": 2,
    "blocks": 2,
    "bins": 5,
    "bound": 3.0,
    "num_frequencies": 8,
    "frequency_scale": 0.5,  # what oscillates faster, a tiny network's ODE does not resolve
    "levels": 2,
    "time_width": 4,
    "encoder_widths": (12,),
    "decoder_widths": (12,),
    "channels": 2,
    "components": 3,
    "attention_heads": 2,
    "restarts": 1,
    "pseudo_inputs": 5,
    "frequencies": 2,
    "side": 8,
    "inference_side": 24,
    "count": 60,
    "validation": 12,
    "test": 12,
    "size": 16,
    "examples": 2000,
    "steps": 16,
    "noise_range": (3e-3, 2.0),  # untrained, some leave points as far apart as the noise, with detail that a grid must resolve
    "chains": 6,
    "burn_in": 2,
    "draws": 8,
    "temperatures": 3,
    "annealing": 2,
    "settling": 1,
    "leaps": 1,
    "least": 1,
    "points": 50,
    "capacity": 200,
}
LIKE_ANY_OTHER = (  # no law of a model depends on these
    *("activation", "times", "time_grid", "heuristic", "moves", "schedule", "sampler"),
)
WITH_ONE = {  # what asks the same of every flow, or of both that use it, is tried with one
    "alpha": "coupling_flow",
    "fab": "coupling_flow",
    "plain": "flow_matching",
    "noise_aware": "flow_matching",
    "feature_grid": "flow_matching",
    "modulated": "flow_matching",
    "random": "flow_matching",
}
SLOW = ("dopri5",)  # and one that would take half of the time


def small(registry: Registry[Any], name: str, **keys: Any) -> dict[str, Any]:
    """The settings of a member, small; those of its default parts too."""
    fields = registry.schema(name).model_fields
    found = {key: value for key, value in SMALL.items() if key in fields and fits(fields[key].annotation, value)}
    for key, parts in registry.parts(name).items():
        default = fields[key].default
        found[key] = {**default, **small(parts, default["name"])}
    return {"name": name, **found, **keys}


def fits(annotation: Any, value: Any) -> bool:
    """Whether a setting of a common name is of that kind here: `channels` of a picture are a choice, for example."""
    return get_origin(annotation) is not Literal or value in get_args(annotation)


def variants(registry: Registry[Any]) -> dict[str, dict[str, Any]]:
    """Label → settings: each member as it is, with each other part, and with each other value of each of its choices."""
    return {label: settings for name in registry.names() for label, settings in varied(registry, name)}


def varied(registry: Registry[Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    base = small(registry, name)
    yield name, base
    for key, field in registry.schema(name).model_fields.items():
        if get_origin(field.annotation) is Literal and key not in ("name", *LIKE_ANY_OTHER):
            for value in get_args(field.annotation):
                if value != field.default and value not in SLOW:
                    yield f"{name} {key}={value}", {**base, key: value}
    for key, parts in registry.parts(name).items():
        for member in parts.names() if key not in LIKE_ANY_OTHER else ():
            if member in SLOW or WITH_ONE.get(member, name) != name:
                continue
            for label, settings in varied(parts, member):
                if settings != base[key]:
                    yield f"{name} {key}={label}", {**base, key: settings}


MODELS = variants(models)
MODELS["causal_transformer counts=2"] = small(models, "causal_transformer", counts=2)
PICTURES = DataSpec((1, 8, 8), ("a", "b"), "unit")
FLAT = {f"{size} numbers, {kind}": DataSpec((size,), kind=kind) for size, kind in ((1, "real"), (2, "real"), (3, "unit"))}
BITS, SYMBOLS = DataSpec((1, 3, 3), kind="bits"), DataSpec((5,), kind="tokens", levels=4, alphabet="abcd")
SPECS = {**FLAT, "pictures": PICTURES, "bits": BITS, "symbols": SYMBOLS}


@cache
def can(label: str, spec: DataSpec) -> Set[str] | None:
    """What the model can do with data that look so; None where it does not accept them. Built once, for all laws."""
    with torch.random.fork_rng(devices=[]):
        try:
            return models.build(MODELS[label], spec, Context()).can  # type: ignore[no-any-return]
        except UserError:
            return None


def shaken(part: nn.Module, by: float = 0.15) -> nn.Module:
    """The same in float64, every weight moved at random: nothing is the identity, or zero, by accident of its start."""
    part = part.double()
    with torch.no_grad():
        for weights in part.parameters():
            weights.add_(by * torch.randn_like(weights))
    return part


def some(spec: DataSpec, n: int, dtype: torch.dtype = torch.float32) -> Batch:
    """n made-up examples that look like it, and a density for what learns from one."""
    noise = torch.randn(n, *spec.shape, dtype=dtype)
    x = 0.8 * noise + 0.3 if spec.kind == "real" else torch.sigmoid(noise)
    if spec.kind == "bits":
        x = x.round()
    if spec.kind == "tokens":
        x = torch.randint(spec.levels or 2, (n, *spec.shape))
    return Batch(x, torch.arange(n) % len(spec.classes) if spec.classes else None, log_round)


def log_round(x: Tensor) -> Tensor:
    """ln of a round density around the middle of such examples, up to a constant."""
    return -2 * (x - 0.4).square().flatten(1).sum(1)


def moments(x: Tensor) -> Tensor:
    """A few bounded functions of points (n, dim), whose mean tells one distribution from another: (n, 3·dim)."""
    return torch.cat([torch.tanh(x), torch.cos(x), torch.sin(2 * x + x.flip(1))], dim=1)
