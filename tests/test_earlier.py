"""Runs of earlier versions: their flat keys say the same as today's nested ones, and every key has its place."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genexp.data.base import DataSpec
from genexp.folder.earlier import FIXED, MOVED, moved, renamed, translated, weights
from genexp.folder.records import flat, read_record
from genexp.registry import models
from genexp.runs.words import words_of

VAE: dict[str, Any] = {
    "name": "vae",
    "latent": 2,
    "network": "mlp",
    "encoder_widths": [8, 9],
    "decoder_widths": [7],
    "activation": "tanh",
    "components": 512,
    "frequencies": 3,
    "frequency_scale": 0.5,
    "input_dropout": 0.2,
    "likelihood": "bernoulli",
    "sigma": 0.3,
    "learn_sigma": False,
    "posterior": "gaussian",
    "iaf_blocks": 5,
    "iaf_width": 6,
    "iaf_context": 7,
    "iaf_library": "ours",
    "prior": "standard",
    "prior_blocks": 3,
    "prior_width": 11,
    "pseudo_inputs": 12,
    "prior_components": 13,
    "sampling": "prior",
    "beta": 0.5,
    "kl_warmup": 4,
    "free_bits": 0.1,
    "importance_samples": 1,
    "start": "random",
    "conditional": False,
}
FLOW: dict[str, Any] = {
    "name": "coupling_flow",
    "coupling": "spline",
    "depth": 2,
    "width": 9,
    "hidden_layers": 1,
    "activation": "relu",
    "bins": 5,
    "tail_bound": 2.0,
    "log_scale_bound": 3.5,
    "mask": "random",
    "harmonics": 4,
    "base": "normal",
    "normalise": False,
}
VELOCITY: dict[str, Any] = {
    "name": "flow_matching",
    "features": "noise_aware",
    "num_frequencies": 7,
    "frequency_scale": 3.0,
    "frequency_spread": "normal",
    "damping": 0.7,
    "feature_levels": 2,
    "feature_side": 9,
    "feature_channels": 3,
    "width": 11,
    "depth": 2,
    "activation": "tanh",
    "layer_norm": True,
    "time_width": 5,
    "parametrisation": "denoiser",
    "data_scale": 0.4,
    "time_sampling": "log_noise",
    "uniform_share": 0.2,
    "noise_range": [1e-2, 2.0],
    "solver": "midpoint",
    "evaluations": 12,
    "time_grid": "power",
    "grid_power": 3.0,
    "grid_range": [1e-2, 4.0],
}
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (VAE, {"objective.beta": 0.5, "objective.kl_warmup": 4, "network.frequencies": 3, "network.initialisation": "random"}),
    (VAE | {"posterior": "iaf"}, {"posterior.name": "iaf", "posterior.blocks": 5, "posterior.context": 7}),
    (VAE | {"posterior": "iaf", "iaf_library": "nflows"}, {"posterior.name": "nflows_iaf", "posterior.width": 6}),
    (VAE | {"posterior": "iaf", "sampling": "through_flow"}, {"prior.name": "through_flow"}),
    (VAE | {"prior": "flow"}, {"prior.blocks": 3, "prior.conditioner.width": 11, "prior.transformer.log_scale_bound": 3.0}),
    (VAE | {"prior": "vamp"}, {"prior.pseudo_inputs": 12}),
    (VAE | {"prior": "mixture"}, {"prior.components": 13}),
    (VAE | {"importance_samples": 6, "beta": 1.0}, {"objective.name": "iwae", "objective.k": 6}),
    (VAE | {"likelihood": "logistic"}, {"likelihood.sigma": 0.3, "likelihood.learn_sigma": False}),
    (VAE | {"network": "principal", "likelihood": "gaussian"}, {"network.components": 512, "network.activation": "tanh"}),
    (FLOW, {"transformer.bins": 5, "transformer.bound": 2.0, "conditioner.span": 2.0, "conditioner.width": 9, "mask": "random"}),
    (FLOW | {"coupling": "affine"}, {"transformer.log_scale_bound": 3.5, "conditioner.harmonics": 4}),
    (FLOW | {"base": "uniform"}, {"base.bound": 2.0}),
    (FLOW | {"coupling": "nflows_affine"}, {"name": "flow", "bijection.name": "nflows_affine", "bijection.width": 9, "depth": 2}),
    (FLOW | {"coupling": "nflows_spline"}, {"bijection.bins": 5, "bijection.bound": 2.0, "bijection.hidden_layers": 1}),
    (VELOCITY, {"field.name": "noise_aware", "field.num_frequencies": 7, "field.damping": 0.7, "field.width": 11}),
    (VELOCITY, {"parametrisation.data_scale": 0.4, "times.uniform_share": 0.2, "times.noise_range": (1e-2, 2.0)}),
    (VELOCITY, {"solver.name": "midpoint", "solver.evaluations": 12, "solver.time_grid.power": 3.0}),
    (VELOCITY | {"time_grid": "log_noise"}, {"solver.time_grid.grid_range": (1e-2, 4.0)}),
    (VELOCITY | {"solver": "dopri5"}, {"solver.name": "dopri5"}),
    (VELOCITY | {"features": "none"}, {"field.name": "plain", "field.layer_norm": True, "field.activation": "tanh"}),
    (VELOCITY | {"features": "random"}, {"field.layer_norm": True, "field.time_width": 5, "field.frequency_spread": "normal"}),
    (VELOCITY | {"features": "feature_grid"}, {"field.levels": 2, "field.side": 9, "field.channels": 3, "field.damping": 0.7}),
    (VELOCITY | {"parametrisation": "velocity", "time_sampling": "uniform"}, {"parametrisation.name": "velocity"}),
    (
        {"name": "lattice_decoder", "side": 5, "likelihood": "gaussian", "sigma": 0.2},
        {"name": "gtm", "likelihood.sigma": 0.2, "side": 5},
    ),
    ({"name": "lattice_decoder", "likelihood": {"name": "gaussian", "sigma": 0.3}}, {"name": "gtm", "likelihood.sigma": 0.3}),
    ({"name": "vae", "network": {"name": "mlp", "start": "random"}}, {"network.initialisation": "random"}),
]


@pytest.mark.parametrize(("old", "expected"), CASES)
def test_an_earlier_configuration_is_read_as_todays(old: dict[str, Any], expected: dict[str, Any]) -> None:
    today = translated({"seed": 3, "model": old})
    assert today["seed"] == 3
    values = flat(models.validate(today["model"]))
    assert {key: values[key] for key in expected} == expected
    assert translated(today) == today, "what is spelled as today stays as it is"
    kept = {key: value for key, value in old.items() if key not in MOVED[old["name"]] and key not in ("name", "mask")}
    assert {key: values[key] for key in kept} == kept


HALF = {"model": {"name": "coupling_flow", "coupling": "nflows_affine", "transformer": 3, "bins": 4}}


@pytest.mark.parametrize(
    "values", [{}, {"model": None}, {"model": 3}, {"model": {"name": [1]}}, {"model": {"posterior": "iaf"}}, HALF]
)
def test_what_is_no_configuration_stays_as_it_is(values: dict[str, Any]) -> None:
    assert translated(values) == values


def test_every_earlier_key_is_answered_with_one_of_today() -> None:
    for name, table in MOVED.items():
        for key, places in table.items():
            assert moved(name, key, "x")
            for place in places:
                last = place.key.rpartition(".")[2]
                for member in place.of or ("",):
                    chosen: dict[str, Any] = {"name": member} if member else {}
                    for part in reversed(place.place.split(".") if member else []):
                        chosen = {part: {"name": FIXED[0], **chosen} if part == "solver" and part != place.place else chosen}
                    values = flat(models.validate({"name": renamed("model", name) or name, **chosen}))
                    assert place.key in values, (key, last)
    assert moved("vae", "latent", "3") is None


@pytest.mark.parametrize("coupling", ["spline", "nflows_affine"])
def test_the_weights_of_an_earlier_flow_are_todays(coupling: str) -> None:
    model = models.build(translated({"model": FLOW | {"coupling": coupling}})["model"], DataSpec((3,)))
    early = {name.replace(".transform.", ".").replace("bijections.", "couplings."): w for name, w in model.state_dict().items()}
    assert early.keys() != model.state_dict().keys()
    assert weights(early).keys() == model.state_dict().keys()
    assert weights({"prior.couplings.0.kept": torch.ones(1)}).keys() == {"prior.couplings.0.kept"}
    assert weights("damaged") == "damaged"


def test_the_kl_of_a_bound_is_no_longer_that_of_a_density(tmp_path: Path) -> None:
    """Side by side they were one number: KL(q(z|x) ‖ p(z)) of a VAE, KL(data ‖ model) of a flow."""
    runs = {
        "vae": ("KL(q(z|x) ‖ p(z)), nats an example", {"reconstruction": 70.0, "kl/dynamic": 11.0, "kl": 12.0}),
        "flow": ("KL(data ‖ model) by quadrature, nats", {"nll": 2.0, "kl": 0.1, "floor/kl": 0.0}),
    }
    for name, (meaning, metrics) in runs.items():
        (folder := tmp_path / name).mkdir()
        (folder / "run.json").write_text(json.dumps({"words": {"measures": {"kl": {"meaning": meaning}}}}))
        (folder / "metrics.json").write_text(json.dumps(metrics))
        line = {"heldout/" + key: value for key, value in metrics.items()}
        (folder / "history.jsonl").write_text(json.dumps({"step": 1, **line}) + "\n")
    vae, flow = (read_record(tmp_path / name) for name in runs)
    assert vae.metrics == {"reconstruction": 70.0, "kl_to_prior/dynamic": 11.0, "kl_to_prior": 12.0}
    assert "heldout/kl_to_prior" in vae.history()[0]
    assert flow.metrics == runs["flow"][1]
    words, names = words_of([vae, flow]), ("kl_to_prior", "kl_to_prior/dynamic", "kl")
    assert [words.meaning(name) for name in names] == [runs[run][0] for run in ("vae", "vae", "flow")]
