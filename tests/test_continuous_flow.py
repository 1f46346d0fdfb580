"""Continuous flows: fields that know their divergence, a solver of its order, and a likelihood that no coarse one flatters."""

from types import SimpleNamespace

import pytest
import torch

import genexp.measures.quadrature as quadrature
from genexp.bijections.continuous import STAGES, Ode, continuous
from genexp.data.base import Batch, DataSpec
from genexp.nn.divergence import divergence
from genexp.registry import models
from tests.laws.members import shaken


def ode(dim: int = 2, **keys: object) -> Ode:
    torch.manual_seed(0)
    return shaken(continuous(dim, 0, width=10, time_width=3, **keys), 0.3)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("hidden_layers", [1, 2, 3])
@pytest.mark.parametrize("activation", ["tanh", "silu"])
def test_divergence_and_squares_are_autograds(hidden_layers: int, activation: str) -> None:
    layer = ode(3, hidden_layers=hidden_layers, activation=activation)
    x, t = torch.randn(6, 3, dtype=torch.float64, requires_grad=True), torch.tensor(0.3, dtype=torch.float64)
    directions = layer.directions(x)
    motion = layer.motion(x, t, directions, True)
    assert torch.allclose(motion.divergence, divergence(motion.velocity, x, None))
    jacobians = [
        torch.autograd.functional.jacobian(lambda v: layer.motion(v[None], t, directions, True).velocity[0], p) for p in x
    ]
    assert torch.allclose(motion.squared_jacobian, torch.stack(jacobians).square().sum((1, 2)))
    later = layer.motion(x, t + 0.5, directions, True)
    assert not torch.allclose(later.velocity, motion.velocity, atol=1e-3)
    assert ode(5, hidden_layers=hidden_layers).exact == (hidden_layers == 1)


def test_the_deep_field_in_many_dimensions_is_an_estimate_that_is_right_in_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ode(6, hidden_layers=2, steps=4)
    x, draws = torch.randn(3, 6, dtype=torch.float64), 3000
    with torch.no_grad():
        found = layer(x.repeat(draws, 1))[1].view(draws, 3)
        assert not layer.exact
        layer.exact = True
        _, exact = layer(x)
        squares = layer.follow(x, 1.0, 0.0, squares=True).jacobian
        layer.exact = False
        estimated = layer.follow(x.repeat(draws, 1), 1.0, 0.0, squares=True).jacobian.view(draws, 3)
    for estimates, true in ((found, exact), (estimated, squares)):
        error = estimates.std(0) / draws**0.5
        assert (error > 1e-5).all()
        assert ((estimates.mean(0) - true).abs() <= 5 * error).all()


def test_half_the_step_leaves_a_sixteenth_of_the_error() -> None:
    """Of the way there, of the determinant, and of the way back."""
    x = torch.randn(50, 2, dtype=torch.float64)
    truth = ode(steps=200)
    errors = []
    for steps in (8, 16):
        layer = ode(steps=steps)
        with torch.no_grad():
            (z, log_det), (true_z, true_log_det) = layer(x), truth(x)
            errors.append(torch.stack([(z - true_z).norm(), (log_det - true_log_det).norm(), (layer.inverse(z)[0] - x).norm()]))
    order = (errors[0] / errors[1]).log2()
    assert (order > 3.5).all()
    assert (errors[1] > 1e-12).all()


def test_dopri5_finds_what_many_steps_find() -> None:
    x = torch.randn(20, 2, dtype=torch.float64)
    with torch.no_grad():
        for many, adaptive in zip(ode(steps=100)(x), ode(solver="dopri5")(x), strict=True):
            assert torch.allclose(many, adaptive, atol=1e-4)


def test_what_is_held_small_is_what_it_says() -> None:
    """The kinetic energy of a constant velocity is its square, and the Jacobian of a linear field that of its matrix."""
    layer = ode()
    with torch.no_grad():
        for weights in layer.parameters():
            weights.zero_()
        layer.field.out.bias.copy_(torch.tensor([3.0, -1.0]))
        layer.field.hidden.weight[0, 0] = layer.field.out.weight[1, 0] = 1e-3  # tanh is linear there
        path = layer.follow(torch.zeros(4, 2, dtype=torch.float64), 1.0, 0.0, squares=True)
    assert torch.allclose(path.end, torch.tensor([[-3.0, 1.0]], dtype=torch.float64).expand(4, 2), atol=1e-4)
    assert torch.allclose(path.kinetic, torch.full((4,), 5.0, dtype=torch.float64), atol=1e-4)
    assert torch.allclose(path.jacobian, torch.full((4,), 0.5e-12, dtype=torch.float64), rtol=1e-3)


@torch.no_grad()
def test_the_terms_add_up_and_validation_is_the_likelihood_alone() -> None:
    torch.manual_seed(0)
    keys = {"name": "continuous_flow", "width": 8, "kinetic": 0.5, "jacobian": 0.25}
    model = models.build(keys, DataSpec((2,), kind="real"))
    batch = Batch(3 + 5 * torch.randn(30, 2, dtype=torch.float64))
    model.initialise(Batch(batch.x.float()))
    shaken(model)
    model.eval()
    terms = {name: float(value) for name, value in model.loss(batch).items()}  # type: ignore[operator]
    assert terms["kinetic"] > 0
    assert terms["jacobian"] > 0
    assert terms["loss"] == pytest.approx(terms["nll"] + 0.5 * terms["kinetic"] + 0.25 * terms["jacobian"])
    assert float(model.validate(batch)["loss"]) == pytest.approx(-float(model.log_prob(batch.x).mean()))  # type: ignore[operator]
    assert terms["nll"] == pytest.approx(float(model.validate(batch)["loss"]))  # type: ignore[operator]


def test_evaluation_takes_smaller_steps_and_pictures_show_the_way() -> None:
    layer = ode(steps=1)
    x = torch.randn(20, 2, dtype=torch.float64)
    with torch.no_grad():
        coarse, fine = layer(x)[0], layer.eval()(x)[0]
        stages = ode(steps=8).stages(x)
        assert len(stages) == STAGES
        assert torch.allclose(stages[-1], ode(steps=8).inverse(x)[0])
    assert not torch.allclose(coarse, fine, atol=1e-4)
    assert torch.equal(fine, ode(steps=2)(x)[0])


def test_of_densities_without_kinks_half_as_many_points_a_side_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base that ends, a spline, and data with edges each have kinks."""
    monkeypatch.setattr(quadrature, "GRID_SIDE", 100)
    names = ["continuous_flow", "residual_flow", "spline_coupling", "realnvp"]
    flows = {name: models.build({"name": name}, DataSpec((2,), kind="real")) for name in names}
    assert {name for name, flow in flows.items() if "smooth" in flow.can} == {"continuous_flow", "residual_flow"}
    bounded = {"name": "continuous_flow", "normalise": False, "base": {"name": "uniform"}}
    assert "smooth" not in models.build(bounded, DataSpec((2,), kind="real")).can
    for can, knows, side in (({"smooth"}, set(), 50), ({"smooth"}, {"edges"}, 100), (set(), set(), 100)):
        assert quadrature.sides(SimpleNamespace(can=can, knows=knows))[0] == side
