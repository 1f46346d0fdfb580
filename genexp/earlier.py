"""How earlier versions spelled what a run is: the one table from old keys to new, for what is typed and what is stored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Moved:
    """Where a key of the model went: `key` of its parts; where it is a part's, only `of` these members, () of all."""

    key: str
    of: tuple[str, ...] = ()

    def typed(self) -> str:
        """As it is typed now."""
        part, _, key = self.key.rpartition(".")
        if key == "name":
            return f"model/{part}=…"
        return f"model.{self.key}" + (f" (of model/{part}={' or '.join(self.of)})" if self.of else "")


def _same(part: str, *keys: str, of: tuple[str, ...] = ()) -> dict[str, tuple[Moved, ...]]:
    """Keys that went to a part, and kept their names."""
    return {key: (Moved(f"{part}.{key}", of),) for key in keys}


SIGMA = {
    "likelihood": (Moved("likelihood.name"),),
    **_same("likelihood", "sigma", "learn_sigma", of=("gaussian", "logistic")),
}
MOVED: dict[str, dict[str, tuple[Moved, ...]]] = {
    "vae": {
        **SIGMA,
        "network": (Moved("network.name"),),
        **_same("network", "encoder_widths", "decoder_widths", "start"),
        **_same("network", "activation", of=("mlp", "principal")),
        **_same("network", "components", of=("principal",)),
        **_same("network", "frequencies", "frequency_scale", of=("mlp",)),
        "posterior": (Moved("posterior.name"),),
        **{f"iaf_{key}": (Moved(f"posterior.{key}", ("iaf", "nflows_iaf")),) for key in ("blocks", "width", "context")},
        "iaf_library": (Moved("posterior.name"),),
        "prior": (Moved("prior.name"),),
        "prior_blocks": (Moved("prior.blocks", ("flow",)),),
        "prior_width": (Moved("prior.conditioner.width", ("flow",)),),
        "pseudo_inputs": (Moved("prior.pseudo_inputs", ("vamp",)),),
        "prior_components": (Moved("prior.components", ("mixture",)),),
        "sampling": (Moved("prior.name"),),
        "importance_samples": (Moved("objective.k", ("iwae",)),),
        **_same("objective", "beta", "kl_warmup", "free_bits", of=("elbo",)),
    },
    "lattice_decoder": SIGMA,
    "coupling_flow": {
        "coupling": (Moved("transformer.name"),),
        **_same("conditioner", "width", "hidden_layers", "activation", "harmonics"),
        **_same("transformer", "bins", of=("spline",)),
        "tail_bound": (Moved("transformer.bound", ("spline",)), Moved("conditioner.span"), Moved("base.bound", ("uniform",))),
        **_same("transformer", "log_scale_bound", of=("affine",)),
        "base": (Moved("base.name"),),
    },
}


def moved(model: str, key: str) -> str | None:
    """How the key `model.…` of an earlier version is typed today; None where there was none of that name."""
    found = MOVED.get(model, {}).get(key)
    return " and ".join(dict.fromkeys(item.typed() for item in found)) if found else None


def translated(config: dict[str, Any]) -> dict[str, Any]:
    """The values of a config.yaml, an earlier version's as today's would be."""
    model = config.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(name, str) or not _is_earlier(name, model):
        return config
    return {**config, "model": _model(name, dict(model))}


def _is_earlier(name: str, model: Mapping[str, Any]) -> bool:
    """Whether some value stands where it stood earlier: a part was a name, and not a mapping."""
    table = MOVED.get(name, {})
    return any(key in table and not isinstance(value, dict) for key, value in model.items())


def _model(name: str, old: dict[str, Any]) -> dict[str, Any]:
    """The keys of a model, each where it is today, and those of members that were not chosen left out."""
    library = str(old.get("coupling", "")).startswith("nflows_")
    if name == "vae":
        if old.get("posterior") == "iaf" and old.pop("iaf_library", "ours") == "nflows":
            old["posterior"] = "nflows_iaf"
        if old.get("sampling") == "through_flow":
            old["prior"] = "through_flow"
        old.pop("iaf_library", None), old.pop("sampling", None)
        old["objective"] = "iwae" if old.get("importance_samples", 1) != 1 else "elbo"
    new: dict[str, Any] = {}
    table = {**MOVED[name], "objective": (Moved("objective.name"),)}
    items = sorted(old.items(), key=lambda item: not any(there.key.endswith(".name") for there in table.get(item[0], ())))
    for key, value in items:  # the choices first
        for there in table.get(key, (Moved(key),)):
            *parts, last = there.key.split(".")
            if there.of and new.get(parts[0], {}).get("name") not in there.of:
                continue
            inside = new
            for part in parts:
                inside = inside.setdefault(part, {"name": CHOSEN.get(part)} if last != "name" else {})
            inside[last] = value
    return _nflows(new) if library else new


CHOSEN = {"conditioner": "mlp"}  # where there was no choice


def _nflows(model: dict[str, Any]) -> dict[str, Any]:
    """A coupling flow by the library nflows, which is another model today."""
    transformer, conditioner = model["transformer"], model["conditioner"]
    bijection = {"name": transformer["name"], **{key: conditioner[key] for key in ("width", "hidden_layers", "activation")}}
    return {
        "name": "flow",
        **{key: model[key] for key in ("depth", "normalise", "base") if key in model},
        "bijection": bijection,
    }


WEIGHTS = (
    (re.compile(r"couplings\.(\d+)\.(transform_net|identity_features|transform_features)(.*)"), r"bijections.\1.transform.\2\3"),
    (re.compile(r"couplings\.(.*)"), r"bijections.\1"),
)


def weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of a model by their names of today."""
    return {_renamed(name): value for name, value in state.items()}


def _renamed(name: str) -> str:
    for pattern, today in WEIGHTS:
        if found := pattern.fullmatch(name):
            return found.expand(today)
    return name
