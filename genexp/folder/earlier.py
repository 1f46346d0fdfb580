"""How earlier versions spelled what a run is: the one table from old keys to new, for what is typed and what is stored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Moved:
    """Where a key of the model went: `key` of its parts; where it is a part's, only `of` these members, () of all, of the part
    that is `at` this place: the outermost, where nothing is said.
    """

    key: str
    of: tuple[str, ...] = ()
    at: str = ""

    @property
    def place(self) -> str:
        return self.at or self.key.partition(".")[0]

    def typed(self, value: str) -> str:
        """As it is typed now, a choice with its `value`."""
        if self.key.endswith(".name"):
            return f"model/{self.key.removesuffix('.name').replace('.', '/')}={CHOICES.get(value, value)}"
        return f"model.{self.key}" + (f" (of model/{self.place.replace('.', '/')}={' or '.join(self.of)})" if self.of else "")


CHOICES = {"nflows": "nflows_iaf", "ours": "iaf", "none": "plain"}  # of iaf_library, of features


def _same(part: str, *keys: str, of: tuple[str, ...] = ()) -> dict[str, tuple[Moved, ...]]:
    """Keys that went to a part, and kept their names."""
    return {key: (Moved(f"{part}.{key}", of),) for key in keys}


SIGMA = {
    "likelihood": (Moved("likelihood.name"),),
    **_same("likelihood", "sigma", "learn_sigma", of=("gaussian", "logistic")),
}
FIXED = ("heun", "euler", "midpoint", "rk4")
MOVED: dict[str, dict[str, tuple[Moved, ...]]] = {
    "vae": {
        **SIGMA,
        "network": (Moved("network.name"),),
        **_same("network", "encoder_widths", "decoder_widths"),
        "start": (Moved("network.initialisation"),),
        **_same("network", "activation", of=("mlp", "principal")),
        **_same("network", "components", of=("principal",)),
        **_same("network", "frequencies", "frequency_scale", of=("mlp",)),
        "posterior": (Moved("posterior.name"),),
        **{f"iaf_{key}": (Moved(f"posterior.{key}", ("iaf",)),) for key in ("blocks", "width", "context")},
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
    "flow_matching": {
        "features": (Moved("field.name"),),
        **_same("field", "num_frequencies", "frequency_scale", "frequency_spread", of=("noise_aware", "random")),
        **_same("field", "damping", of=("noise_aware", "feature_grid")),
        **{f"feature_{key}": (Moved(f"field.{key}", ("feature_grid",)),) for key in ("levels", "side", "channels")},
        **_same("field", "width", "depth", "activation"),
        **_same("field", "layer_norm", of=("plain", "random")),
        **_same("field", "time_width", of=("noise_aware", "feature_grid", "random")),
        "parametrisation": (Moved("parametrisation.name"),),
        **_same("parametrisation", "data_scale", of=("denoiser",)),
        "time_sampling": (Moved("times.name"),),
        **_same("times", "uniform_share", "noise_range", of=("log_noise",)),
        "solver": (Moved("solver.name"),),
        **_same("solver", "evaluations", of=FIXED),
        "time_grid": (Moved("solver.time_grid.name", FIXED),),
        "grid_power": (Moved("solver.time_grid.power", ("power",), "solver.time_grid"),),
        "grid_range": (Moved("solver.time_grid.grid_range", ("log_noise",), "solver.time_grid"),),
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


MEMBERS = {
    "model": {"lattice_decoder": "gtm"},
    "experiment": {"mnist_lattice": "mnist_gtm", "qr_grids": "qr_flowmatch", "qr_flowmatch_plain": "qr_plain"},
}
KEYS = {"vae": {"network": {"start": "initialisation"}}}  # of a model's parts, that kept their place


def renamed(group: str, name: str) -> str | None:
    """What an earlier version's member of a group is called today."""
    return MEMBERS.get(group, {}).get(name)


def moved(model: str, key: str, value: str) -> str | None:
    """How `model.key=value` of an earlier version is typed today; None where there was no such key. `key` may be a part's."""
    part, _, inner = key.partition(".")
    if today := KEYS.get(model, {}).get(part, {}).get(inner):
        return f"model.{part}.{today}"
    found = MOVED.get(model, {}).get(key)
    return " and ".join(item.typed(value) for item in found) if found else None


def translated(config: dict[str, Any]) -> dict[str, Any]:
    """The values of a config.yaml, an earlier version's as today's would be."""
    model = config.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(name, str):
        return config
    try:
        model = _model(name, dict(model)) if _is_earlier(name, model) else model
    except (AttributeError, KeyError, TypeError):  # no version's: the schema will say what is wrong
        return config
    parts = {key: _keys(name, key, value) for key, value in model.items()}
    return {**config, "model": {**parts, "name": renamed("model", name) or model["name"]}}


def _keys(model: str, part: str, values: Any) -> Any:
    """The keys of a part of the model by their names of today."""
    table = KEYS.get(model, {}).get(part)
    return {table.get(key, key): value for key, value in values.items()} if table and isinstance(values, dict) else values


def _is_earlier(name: str, model: Mapping[str, Any]) -> bool:
    """Whether some value stands where it stood earlier: a part was a name, and not a mapping."""
    table = MOVED.get(name, {})
    return any(key in table and not isinstance(value, dict) for key, value in model.items())


def _model(name: str, old: dict[str, Any]) -> dict[str, Any]:
    """The keys of a model, each where it is today; those of members that were not chosen are left out."""
    if name == "vae":
        library, sampling = old.pop("iaf_library", "ours"), old.pop("sampling", "prior")
        old["posterior"] = "nflows_iaf" if (old.get("posterior"), library) == ("iaf", "nflows") else old.get("posterior")
        old["prior"] = "through_flow" if sampling == "through_flow" else old.get("prior")
        old["objective"] = "elbo" if old.get("importance_samples", 1) == 1 else "iwae"
    if old.get("features") == "none":
        old["features"] = "plain"
    new: dict[str, Any] = {}
    table = {**MOVED[name], "objective": (Moved("objective.name"),)}
    moves = [(there, value) for key, value in old.items() for there in table.get(key, (Moved(key),))]
    for there, value in sorted(
        moves, key=lambda move: (not move[0].key.endswith(".name"), move[0].key.count("."))
    ):  # choices first
        *parts, last = there.key.split(".")
        if there.of and _member(new, there.place).removeprefix("nflows_") not in there.of:
            continue
        inside = new
        for part in parts:
            inside = inside.setdefault(part, {"name": "mlp"} if part == "conditioner" else {})
        inside[last] = value
    return _nflows(new) if str(old.get("coupling")).startswith("nflows_") else new


def _member(model: dict[str, Any], place: str) -> str:
    """The name of what is chosen there; of nothing, ""."""
    for part in place.split("."):
        model = model.get(part, {})
    return str(model.get("name", ""))


def _nflows(model: dict[str, Any]) -> dict[str, Any]:
    """A coupling flow by the library nflows, which is another model today."""
    network = {key: model["conditioner"][key] for key in ("width", "hidden_layers", "activation")}
    kept = {key: model[key] for key in ("depth", "normalise", "base")}
    layer = {key: value for key, value in model["transformer"].items() if key != "log_scale_bound"}
    return {"name": "flow", **kept, "bijection": {**layer, **network}}


METRICS = {"floor/planes/": "ceiling/planes/"}  # beginnings of names in metrics.json
OF_A_BOUND = re.compile(r"(?<![^/])kl(?=/|$)")  # beside `reconstruction`: a density has a `kl` of another meaning
KL, MEANT = "kl_to_prior", "KL(q(z|x) ‖ p(z))"


def metrics(found: Mapping[str, Value]) -> dict[str, Value]:
    """What is in metrics.json, or in a line of history.jsonl, by the names of today."""
    today = {_metric(name): value for name, value in found.items()}
    if not any("reconstruction" in name for name in today):
        return today
    return {OF_A_BOUND.sub(KL, name): value for name, value in today.items()}


def measure(name: str, words: Mapping[str, Any]) -> str:
    """The name of today of the measure `name` that a run says these words of."""
    return KL if name == "kl" and str(words.get("meaning", "")).startswith(MEANT) else name


def _metric(name: str) -> str:
    return next((today + name.removeprefix(then) for then, today in METRICS.items() if name.startswith(then)), name)


WEIGHTS = (
    (re.compile(r"couplings\.(\d+)\.(transform_net|identity_features|transform_features)(.*)"), r"bijections.\1.transform.\2\3"),
    (re.compile(r"couplings\.(.*)"), r"bijections.\1"),
)


def weights(state: Any) -> Any:
    """The weights of a model by their names of today; what is no mapping from names stays as it is."""
    return {_renamed(name): value for name, value in state.items()} if isinstance(state, dict) else state


def _renamed(name: Any) -> Any:
    for pattern, today in WEIGHTS:
        if isinstance(name, str) and (found := pattern.fullmatch(name)):
            return found.expand(today)
    return name
