"""Shapes whose factors are known, and the numbers that say which latent follows which."""

import math
from types import SimpleNamespace

import pytest
import torch

from genexp.data.base import Batch, DataSpec
from genexp.data.factors import Factors
from genexp.data.sprites import LEVELS, ROOM, Sprites, draw_sprites
from genexp.errors import UserError
from genexp.figures.factors import information as draw_information
from genexp.measures import disentanglement, kl_parts
from genexp.measures.disentanglement import factor_score, information
from tests.parts import vae

FACTORS = Factors(tuple(LEVELS), tuple(LEVELS.values()))
SMALL = {"count": 60, "validation": 12, "test": 40, "size": 16}


def middle(pictures: torch.Tensor) -> torch.Tensor:
    """Centres of mass in sides of the picture, x to the right and y upwards, (n, 2)."""
    size = pictures.shape[-1]
    at = (torch.arange(size) + 0.5) / size
    mass = pictures[:, 0].double() / pictures.sum((1, 2, 3))[:, None, None]
    return torch.stack([mass.sum(1) @ at.double(), mass.sum(2) @ at.flip(0).double()], dim=1)


def test_an_index_counts_all_combinations_once() -> None:
    values = FACTORS.of(torch.arange(FACTORS.combinations))
    assert len(values.unique(dim=0)) == FACTORS.combinations == math.prod(LEVELS.values())
    assert values.amax(0).tolist() == [levels - 1 for levels in LEVELS.values()]
    assert FACTORS.of(torch.tensor([1]))[0].tolist() == [0, 0, 0, 0, 1]


def test_places_move_the_shape_and_nothing_else() -> None:
    for shape in range(3):
        values = torch.tensor([[shape, 3, 4, 5, 5], [shape, 3, 4, 11, 5], [shape, 3, 4, 5, 12]])
        pictures = draw_sprites(values, 32)
        step = ROOM / 16
        moved = middle(pictures) - middle(pictures)[0]
        assert torch.allclose(moved, torch.tensor([[0, 0], [6 * step, 0], [0, 7 * step]]).double(), atol=1e-6)
        assert torch.equal(pictures[1, :, :, 6:], pictures[0, :, :, :-6])


def test_scale_is_a_length_and_turn_an_angle() -> None:
    sizes = draw_sprites(torch.tensor([[0, k, 6, 8, 8] for k in range(6)]), 64).double().sum((1, 2, 3)).sqrt()
    steps = sizes.diff()
    assert torch.allclose(steps, steps.mean().expand(5), rtol=0.05)
    assert float(sizes[-1] / sizes[0]) == pytest.approx(0.22 / 0.12, rel=0.03)
    area = float(sizes[-1] ** 2) / 255 / 64**2
    assert area == pytest.approx(math.pi * 0.22**2 / 2, rel=0.02)  # of the ellipse
    for turn, span in ((0, 120.0), (3, 120.0), (11, 120.0), (10, 90.0)):
        picture = draw_sprites(torch.tensor([[0, 5, turn, 8, 8]]), 64, span)
        at = (torch.arange(64) + 0.5) / 64
        mass, (x, y) = picture[0, 0].double(), middle(picture)[0]
        dx, dy = (at - x)[None, :], (at.flip(0) - y)[:, None]
        angle = 0.5 * math.atan2(2 * float((mass * dx * dy).sum()), float((mass * (dx**2 - dy**2)).sum()))
        assert math.degrees(angle) == pytest.approx(span * (turn / 11 - 0.5), abs=0.5)


def test_no_two_kinds_look_alike_and_none_leaves_the_picture() -> None:
    kinds = torch.cartesian_prod(torch.arange(3), torch.arange(6), torch.arange(12))
    for corner in (0, 15):
        pictures = draw_sprites(torch.cat([kinds, torch.full((len(kinds), 2), corner)], dim=1), 32)
        assert len(pictures.flatten(1).unique(dim=0)) == len(kinds)
        edge = torch.cat([pictures[..., [0, -1], :].flatten(1), pictures[..., [0, -1]].flatten(1)], dim=1)
        assert int(edge.max()) < 255
        assert int((pictures > 127).flatten(1).sum(1).min()) >= 6


def test_a_combination_is_one_picture_in_every_set(tmp_path) -> None:
    sets = [Sprites(tmp_path, **{**SMALL, "count": 5_000}, seed=seed) for seed in (0, 1)]  # type: ignore[arg-type]
    for data in sets:
        assert torch.equal(data.test.x, draw_sprites(data.test_factors, 16))
    both = [{tuple(v.tolist()): x for v, x in zip(data.test_factors, data.test.x, strict=True)} for data in sets]
    assert not torch.equal(sets[0].test_factors, sets[1].test_factors)
    with pytest.raises(UserError, match="55,296 pictures there are"):
        Sprites(tmp_path, count=50_000)
    assert all(len(found) == 40 for found in both)
    train = {x.numpy().tobytes() for x in sets[0].train.x}
    assert not any(x.numpy().tobytes() in train for x in sets[0].test.x)


# --- numbers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def values() -> torch.Tensor:
    return FACTORS.of(torch.randperm(FACTORS.combinations, generator=torch.Generator().manual_seed(0))[:6000])


def test_the_factors_themselves_are_the_ceiling(values: torch.Tensor) -> None:
    """In any order, bent by any monotone function, and with latents beside them that say nothing."""
    torch.manual_seed(0)
    code = torch.cat([values.flip(1).double().exp(), torch.randn(6000, 3)], dim=1)
    found = information(code, values)
    assert torch.allclose(found.entropy, torch.tensor([*LEVELS.values()]).double().log(), atol=2e-3)
    assert float(found.gaps.mean()) > 0.97  # short of 1 by what counts of independent numbers seem to say
    assert float(information(values, values).gaps.mean()) > 0.97
    assert factor_score(torch.cat([values.flip(1) / 3, torch.randn(6000, 3)], dim=1), values) == 1


def test_shuffled_factors_are_the_floor(values: torch.Tensor) -> None:
    torch.manual_seed(0)
    code = values.double()[torch.randperm(6000)]
    assert float(information(code, values).gaps.mean()) < 0.02
    assert factor_score(code, values) < 0.3
    assert factor_score(torch.zeros(6000, 4), values) < 0.3  # all have collapsed


def test_mixed_and_doubled_latents_have_no_gap(values: torch.Tensor) -> None:
    code = values.double()
    turned = code.clone()
    turned[:, 3], turned[:, 4] = code[:, 3] + code[:, 4], code[:, 3] - code[:, 4]
    gaps = information(turned, values).gaps
    assert float(gaps[3:].max()) < 0.05
    assert float(gaps[:3].min()) > 0.9
    doubled = torch.cat([code, code[:, :1]], dim=1)
    assert float(information(doubled, values).gaps[0]) == pytest.approx(0, abs=1e-9)
    assert information(doubled, values).gaps[1] > 0.9


def test_noise_takes_what_it_should(values: torch.Tensor) -> None:
    """A latent that is right with probability ½ and else says anything of 16 places: I = ln 16 − H(17/32, 1/32 × 15)."""
    torch.manual_seed(0)
    code = values.double()
    code[:, 3] = torch.where(torch.rand(6000) < 0.5, code[:, 3], torch.randint(16, (6000,)).double())
    right = 0.5 + 0.5 / 16
    entropy = -right * math.log(right) - 15 / 32 * math.log(1 / 32)
    assert float(information(code, values).mutual[3, 3]) == pytest.approx(math.log(16) - entropy, abs=0.05)


def test_a_gap_is_a_share_of_what_there_is_to_say(values: torch.Tensor) -> None:
    """Where a latent is right with probability ½ and others say nothing: I/ln 6 and I/ln 16, not I."""
    torch.manual_seed(0)
    for factor, levels in ((1, 6), (3, 16)):
        code = torch.randint(levels, (6000, 5)).double()
        code[:, 2] = torch.where(torch.rand(6000) < 0.5, values[:, factor].double(), code[:, 2])
        right, wrong = 0.5 + 0.5 / levels, 0.5 / levels
        told = math.log(levels) + right * math.log(right) + (levels - 1) * wrong * math.log(wrong)
        assert float(information(code, values).gaps[factor]) == pytest.approx(told / math.log(levels), abs=0.03)


def test_a_question_is_answered_in_units_of_each_latent(values: torch.Tensor) -> None:
    """The least variance is one of shares: narrow latents do not always win, nor do those that are constant."""
    torch.manual_seed(0)
    code = values.double() / torch.tensor([*LEVELS.values()]) + 0.05 * torch.randn(6000, 5)
    wide = code * torch.tensor([1, 1e3, 10, 1e2, 1e4])
    assert factor_score(wide, values) > 0.98
    assert factor_score(torch.cat([torch.zeros(6000, 1), 9 * code], dim=1), values) > 0.98


def test_questions_that_are_counted_are_not_those_that_were_learnt_from(
    values: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few questions and many latents that say nothing the answers are known by heart, and no other one is."""
    torch.manual_seed(0)
    monkeypatch.setattr(disentanglement, "QUESTIONS", 30)
    assert factor_score(torch.randn(6000, 60), values) < 0.55


def test_the_numbers_stand_over_those_of_shuffled_factors(values: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    code = values.double() + 0.2 * torch.randn(6000, 5)
    for name in ("test_latents", "drawn_latents"):
        monkeypatch.setattr(disentanglement, name, lambda subject: code)
    data = SimpleNamespace(test_factors=values, factors=FACTORS)
    subject = SimpleNamespace(data=data, test_part=range(6000), found={})
    score, gap = disentanglement.factor_score_of(subject), disentanglement.mig(subject)
    assert score.baseline < 0.4 < 0.9 < score.value <= score.exact
    assert gap[""].baseline < 0.02 < 0.6 < gap[""].value <= gap[""].exact
    assert {*gap} == {"", *FACTORS.names}
    assert gap[""].value == pytest.approx(sum(gap[name].value for name in FACTORS.names) / 5)


def test_the_parts_of_a_models_kl_are_its_kl() -> None:
    torch.manual_seed(0)
    model = vae(DataSpec((6,), kind="unit"), latent=3).eval()
    with torch.no_grad():
        model.posterior.head.weight.mul_(8)
    x = torch.rand(400, 6)
    subject = SimpleNamespace(found={}, model=model, test=Batch(x), device=torch.device("cpu"), settings=SimpleNamespace(seed=0))
    parts = kl_parts.parts(subject)
    whole = parts.mutual_information + parts.total_correlation + parts.dimension_kl
    exact = model.unit_kl(x).sum(1).mean().item()
    assert float(whole.mean()) == pytest.approx(exact, abs=4 * float(whole.std()) / 20)
    assert float(parts.mutual_information.mean()) < math.log(400)
    assert float(parts.mutual_information.mean()) > 0.3
    measured = kl_parts.total_correlation(subject)
    assert measured.value == pytest.approx(float(parts.total_correlation.mean()))


def test_the_heat_map_has_every_number(values: torch.Tensor) -> None:
    found = information(values.double(), values)
    figure = draw_information(found.shares.numpy(), list("abcde"), FACTORS.names, found.gaps.numpy())
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 25
    assert texts[0] == "1.00"
