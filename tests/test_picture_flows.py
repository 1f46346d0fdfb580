"""Flows of pictures: what is accepted, what is said of pictures and their z, temperatures."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from genexp.data.base import Batch, DataSpec
from genexp.data.images import ImageSet
from genexp.errors import UserError
from genexp.runs.tempered import tempered
from genexp.settings import EvaluationSettings, RunSettings
from genexp.subject import Subject
from tests.parts import arrays, make
from tests.subjects import taken

SPEC = DataSpec((1, 8, 8), ("a", "b"), "unit", levels=17)
ALL = ["nice", "realnvp", "maf", "realnvp_image", "glow"]
SMALL: dict[str, dict[str, Any]] = {"realnvp_image": {"width": 6}, "glow": {"width": 6, "couplings": (2, 2)}, "maf": {"depth": 2}}


def fitted(name: str, spec: DataSpec = SPEC, **keys: Any) -> Any:
    """A flow that has looked at greys of which many are 0, its weights moved."""
    torch.manual_seed(0)
    flow = make(name, spec, **{**SMALL.get(name, {}), **keys})
    flow.initialise(Batch(pictures(100, spec)))
    with torch.no_grad():
        for weights in flow.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    return flow.eval()


def pictures(n: int, spec: DataSpec = SPEC) -> torch.Tensor:
    return torch.randint(17, (n, *spec.shape)) / 16 * (torch.rand(n, *spec.shape) > 0.6)


@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_pictures_come_back_from_their_z_and_the_likelihood_counts_every_step(name: str) -> None:
    flow = fitted(name).double()
    x = pictures(6).double()
    torch.manual_seed(1)
    z, log_det = flow.transform(x)
    torch.manual_seed(1)
    assert torch.allclose(flow.log_prob(x), flow.base.log_prob(z) + log_det), "uniform noise, which has the density 1"
    y, back = flow.inverse(z)
    assert torch.allclose(back, -log_det, atol=1e-6)
    assert torch.allclose(flow.pictures(z), x)
    assert bool((y * 17 >= x * 16).all())  # k ≤ 17 y < k + 1
    assert z.shape == (6, 64) == flow.sample_base(6).shape
    assert sum(flow.sizes) == 64
    assert ("scales" in flow.can) == (name in ("realnvp_image", "glow"))
    greys = flow.sample(5) * 16
    assert torch.equal(greys, greys.round())


@pytest.mark.parametrize("name", ["realnvp_image", "glow"])
@torch.no_grad()
def test_before_the_first_step_the_noise_of_the_coarsest_scale_is_standardised(name: str) -> None:
    """Each channel has mean 0 and deviation 1 over what was looked at, behind everything that stands before it."""
    flow = make(name, SPEC, **SMALL[name])
    x = pictures(200)
    torch.manual_seed(5)
    flow.initialise(Batch(x))
    torch.manual_seed(5)
    z = flow.transform(x)[0][:, : flow.sizes[0]].view(200, -1, 4)
    assert torch.allclose(z.mean((0, 2)), torch.zeros(z.shape[1]), atol=1e-3)
    assert torch.allclose(z.std((0, 2), correction=0), torch.ones(z.shape[1]), atol=1e-3)


@pytest.mark.parametrize("name", ["realnvp_image", "glow"])
@torch.no_grad()
def test_what_goes_on_knows_nothing_of_the_prior_of_what_was_given_out(name: str) -> None:
    flow, x = fitted(name), pictures(5)
    found = []
    for shift in (0.0, 0.3):
        for weights in flow.flow.bijections[0].bijection.priors.parameters():
            weights.add_(shift)
        torch.manual_seed(1)
        found.append(flow.transform(x)[0].split(flow.sizes, 1))
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.allclose(found[0][1], found[1][1])


@torch.no_grad()
def test_learnt_noise_sees_the_picture() -> None:
    noise = fitted("realnvp_image", dequantisation="variational").dequantisation
    found = []
    for grey in (0.0, 1.0):
        torch.manual_seed(1)
        found.append(noise(torch.full((3, *SPEC.shape), grey))[0])
    assert float((found[0] - found[1]).abs().max()) > 1e-3


def test_learnt_noise_is_part_of_the_bound_and_gets_gradients() -> None:
    flow = fitted("realnvp_image", dequantisation="variational")
    assert flow.objective == "bound"
    x = pictures(6)
    torch.manual_seed(1)
    y, log_q = flow.dequantised(x)
    v, slope = flow.preprocessing(y)
    torch.manual_seed(1)
    assert torch.allclose(flow.log_prob(x), flow.flow.log_prob(v) + slope - log_q)
    flow.loss(Batch(x))["loss"].backward()
    assert all(bool((weights.grad != 0).any()) for weights in flow.dequantisation.parameters())


@torch.no_grad()
def test_temperature_stretches_the_noise_and_nothing_else() -> None:
    flow = fitted("glow")
    found = {}
    for t in (0.0, 0.5, 1.0):
        torch.manual_seed(2)
        found[t] = tempered(flow, t).sample(4)
    torch.manual_seed(2)
    assert torch.equal(found[1.0], flow.sample(4))
    assert bool((found[0.0] == found[0.0][:1]).all())
    torch.manual_seed(2)
    assert torch.equal(found[0.5], flow.pictures(0.5 * flow.sample_base(4)))


def test_a_run_is_sampled_at_a_temperature(genexp, runs: Path) -> None:
    points = []
    for number, words in enumerate((["--temperature", "0"], ["--temperature", "1"], [])):
        assert genexp("sample", str(runs / "gaussian"), "--num", "6", *words, "--out", f"{number}.npz")[0] == 0
        points.append(arrays(f"{number}.npz")["samples"])
    assert np.allclose(points[0], points[0][:1])
    assert np.array_equal(points[1], points[2])
    for run, value, words in (("gaussian", "-1", "0 or more"), ("qr", "0.5", "is no flow")):
        code, _, err = genexp("sample", str(runs / run), "--temperature", value, "--out", "no.npz")
        assert code == 2
        assert words in err


class Coin:
    """A model of pictures of four numbers of two levels whose p(y) is ½ or 3/2 by the toss of a coin: P(k) = 2⁻⁴."""

    can, objective, levels = frozenset({"sample", "estimate", "dequantised"}), "nll", 2

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return (0.5 + torch.randint(2, (len(x),))).log()


def test_bits_of_one_draw_and_of_eight_are_bounds_of_their_closed_form() -> None:
    part = ImageSet(torch.zeros(1500, 1, 2, 2, dtype=torch.uint8))
    evaluation = EvaluationSettings(num_points=1500)
    settings = RunSettings.model_construct(seed=0, evaluation=evaluation)
    data: Any = SimpleNamespace(spec=SPEC, knows=frozenset({"examples"}), test=part, draw="")
    data.spec = DataSpec((1, 2, 2), kind="unit", levels=2)
    found = taken(Subject(Coin(), data, settings, torch.device("cpu")), "bits_per_dim", "bits_per_dim_iw8")
    means = [math.log2((0.5 * (8 - k) + 1.5 * k) / 8) for k in range(9)]  # k of eight coins
    eight = 1 - sum(math.comb(8, k) / 256 * mean for k, mean in enumerate(means)) / 4
    one = 1 - 0.5 * math.log2(0.5 * 1.5) / 4
    for name, exact in (("bits_per_dim", one), ("bits_per_dim_iw8", eight)):
        assert float(found[name]) == pytest.approx(exact, abs=4 * float(found[f"{name}_error"]))  # type: ignore[arg-type]
    assert 1 < eight < one
    assert float(found["bits_per_dim_iw8_error"]) < 0.003  # type: ignore[arg-type]
    assert found["floor/bits_per_dim"] == 0
    assert found["baseline/bits_per_dim"] == 1


class Sure:
    """ln p(x) is five times the sum of x, whatever the noise."""

    can, objective, levels = frozenset({"sample", "estimate", "dequantised"}), "nll", 2

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return 5 * x.flatten(1).sum(1)


def test_the_eight_draws_are_of_one_picture() -> None:
    """Where the noise does not matter, eight draws say what one says."""
    torch.manual_seed(0)
    part = ImageSet(255 * torch.randint(2, (40, 1, 2, 2), dtype=torch.uint8))
    settings = RunSettings.model_construct(seed=0, evaluation=EvaluationSettings(num_points=40))
    spec = DataSpec((1, 2, 2), kind="unit", levels=2)
    data: Any = SimpleNamespace(spec=spec, knows=frozenset({"examples"}), test=part, draw="")
    found = taken(Subject(Sure(), data, settings, torch.device("cpu")), "bits_per_dim", "bits_per_dim_iw8")
    bits = 1 - 5 * float(part.x.double().mean()) / 255 / math.log(2)
    assert found["bits_per_dim"] == pytest.approx(bits)
    assert found["bits_per_dim_iw8"] == pytest.approx(bits)


REFUSALS = [
    (
        "realnvp",
        DataSpec((2,), kind="real"),
        {"dequantisation": "variational"},
        "model/dequantisation=variational is of pictures",
    ),
    ("nice", DataSpec((2,), kind="real"), {"preprocessing": "equalise"}, "model/preprocessing=equalise is of pictures"),
    ("maf", DataSpec((3, 96, 96), kind="unit"), {}, "27,648 numbers are too many"),
    ("maf", DataSpec((1, 8, 8), kind="bits"), {}, "needs numbers in"),
    ("realnvp", SPEC, {"objective": "reverse_kl"}, "pictures are learnt from examples"),
    ("glow", DataSpec((2,), kind="real"), {}, "learns pictures, and not data of shape 2"),
    ("glow", DataSpec((1, 6, 6), kind="unit"), {}, "cannot be halved 2 times"),
]


@pytest.mark.parametrize(("name", "spec", "keys", "words"), REFUSALS)
def test_what_cannot_be_is_refused_in_one_line(name: str, spec: DataSpec, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(name, spec, **keys)
