"""Autoregressive models: nothing later changes what is earlier, probabilities sum to one, samples are those of p."""

from itertools import product

import pytest
import torch
from torch import Tensor

from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.models.autoregressive import Autoregressive
from genexp.registry import models
from tests.laws.members import MODELS, SPECS, can, shaken, some

TINY = {
    "bits": DataSpec((1, 2, 2), kind="bits"),
    "three greys": DataSpec((1, 2, 2), kind="unit", levels=3),
    "symbols": DataSpec((4,), kind="tokens", levels=3, alphabet="abc"),
}
ALL = {**SPECS, **TINY, "wider": DataSpec((1, 5, 6), kind="bits")}
DRAWN = 5_000


def made(label: str, spec: DataSpec, seed: int = 0) -> Autoregressive:
    """The model in float64, after a first look and shaken."""
    torch.manual_seed(seed)
    model = models.build(MODELS[label], spec, Context())
    model.initialise(some(spec, 50))
    return shaken(model, 0.4).eval()  # type: ignore[return-value]


def cases(specs: dict[str, DataSpec], *needs: str) -> list[tuple[str, str]]:
    """Label, name of the spec: of the models that are autoregressive on it."""
    cans = {(label, name): can(label, spec) for label, (name, spec) in product(MODELS, specs.items())}
    return [case for case, there in cans.items() if there is not None and there >= {"autoregressive", *needs}]


def everything(spec: DataSpec) -> Tensor:
    """Every example there is, (levels^dim, *shape)."""
    levels = 2 if spec.kind == "bits" else spec.levels
    assert levels is not None
    k = torch.cartesian_prod(*[torch.arange(levels)] * 4)
    x = k if spec.kind == "tokens" else k.double() / (levels - 1)
    return x.reshape(-1, *spec.shape)


@pytest.mark.parametrize(("label", "name"), cases(ALL))
@torch.no_grad()
def test_a_later_number_changes_nothing_earlier(label: str, name: str) -> None:
    """Bit for bit."""
    model, spec = made(label, ALL[name]), ALL[name]
    x, other = some(spec, 3, torch.float64).x, some(spec, 3, torch.float64).x
    nats = model.nats(x)
    assert torch.allclose(-nats.sum(1), model.log_prob(x))
    places = sorted({0, 1, model.dim // 2, model.dim - 1} & {*range(model.dim)})
    for i in places:
        changed = x.flatten(1).clone()
        changed[:, model.order[i:]] = other.flatten(1)[:, model.order[i:]]
        again = model.nats(changed.view_as(x))
        assert torch.equal(again[:, :i], nats[:, :i])


@pytest.mark.parametrize(("label", "name"), cases(TINY, "discrete"))
@torch.no_grad()
def test_probabilities_sum_to_one_and_are_the_frequencies_of_samples(label: str, name: str) -> None:
    model, spec = made(label, TINY[name]), TINY[name]
    x, levels = everything(spec), model.head.levels
    p = model.log_prob(x).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-9)
    flat = x.flatten(1)[:, model.order]
    for i in range(model.dim):  # what samples are drawn by
        log_p = model.head.log_table(model.told(flat, i)).gather(1, model.head.number(flat[:, i : i + 1]))[:, 0]
        assert torch.allclose(log_p, -model.nats(x)[:, i], atol=1e-12)
    same = x.flatten(1)[:, model.order[-1]] == x.flatten()[0]
    tried = [made(label, TINY[name], seed).nats(x)[same, -1].unflatten(0, (levels,) * 3) for seed in range(4)]
    for before in range(3):  # on each of which the last one depends, but for a tiny network whose units are dead
        assert any(not torch.allclose(each.movedim(before, 0)[0], each.movedim(before, 0)[-1]) for each in tried)
    drawn = model.sample(DRAWN)
    assert drawn.shape == (DRAWN, *spec.shape)
    powers = levels ** torch.arange(3, -1, -1)
    index = (model.head.number(drawn.flatten(1)) * powers).sum(1)
    counts = torch.bincount(index, minlength=len(p))
    expected = DRAWN * p
    chi_squared = float(((counts - expected).square() / expected).sum())
    assert chi_squared < len(p) + 6 * (2 * len(p)) ** 0.5


@pytest.mark.parametrize(("label", "name"), [case for case in cases(ALL) if case[1] != "pictures"])
@torch.no_grad()
def test_with_and_without_a_cache_the_same_seed_gives_the_same_sample(label: str, name: str) -> None:
    """Also where the first half is given, which stays."""
    model = made(label, ALL[name])
    x = some(ALL[name], 2, torch.float64).x
    x = x if model.head.levels is None else model.head.value(model.head.number(x)).to(x)
    for known in (0, model.dim // 2):
        found = []
        for cached in (True, False):
            torch.manual_seed(1)
            found.append(model.complete(x, known, cached))
        assert torch.allclose(*(each.double() for each in found), atol=1e-9)
        kept = model.order[:known]
        assert torch.equal(found[0].flatten(1)[:, kept], x.flatten(1)[:, kept])
