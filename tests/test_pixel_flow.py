"""Flows over pixels and patches: what a place is told, which pixels a step looks at, the bijection; simple models."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.bijections.base import transformers
from genexp.bijections.patches import PatchAutoregressive
from genexp.context import Context
from genexp.data.base import Batch, DataSpec
from genexp.data.images import ImageSet
from genexp.errors import UserError
from genexp.figures.anomalies import told_apart
from genexp.measures import simple_bits, typicality
from genexp.measures.altered import MADE
from genexp.measures.altered import made as altered
from genexp.models.pixel_flow import PixelFlow
from genexp.nn.neighbourhood import ASIDE, UP, Neighbourhood, Places
from genexp.registry import models
from tests.laws.members import shaken

SMALL = {"width": 12, "depth": 1, "radius": 2, "block": 2}


def made(spec: DataSpec, **keys: object) -> PixelFlow:
    torch.manual_seed(0)
    return shaken(models.build({"name": "pixel_flow", **SMALL, **keys}, spec, Context()), 0.4).eval()  # type: ignore[return-value]


def strokes(n: int, shape: tuple[int, int, int], levels: int = 256) -> Tensor:
    """Pictures (n, *shape) that are black but for a stroke from above."""
    x = torch.zeros(n, *shape, dtype=torch.float64)
    x[:, :, 2:5, 4] = torch.randint(1, levels, (n, shape[0], 3)).double() / (levels - 1)
    return x


# --- what a place is told --------------------------------------------------------------------------------------------


def test_a_place_is_told_its_window_its_earlier_channels_and_blocks_of_the_rows_above() -> None:
    channels, height, width, radius, block = 2, 5, 6, 2, 2
    part = Neighbourhood((channels, height, width), 1, radius, block)
    x = torch.rand(1, channels, height, width, dtype=torch.float64) + 1
    features = x[0].permute(1, 2, 0).reshape(1, -1, 1)
    for row, column, channel in ((3, 2, 1), (0, 0, 0), (4, 5, 0), (2, 5, 1)):
        index = [torch.tensor([each]) for each in (0, row, column, channel)]
        told = part.at(features, Places(*index))[0]
        assert len(told) == part.size

        def grey(i: int, j: int) -> list[float]:
            inside = 0 <= i < height and 0 <= j < width
            return x[0, :, i, j].tolist() if inside else [0.0] * channels

        above = [(row - up, column + to) for up in (2, 1) for to in range(-radius, radius + 1)]
        window = [each for place in [*above, (row, column - 2), (row, column - 1)] for each in grey(*place)]
        own = [float(x[0, 0, row, column]) if channel else 0.0]
        blocks = []
        for up in range(UP, 0, -1):
            for aside in range(-ASIDE, ASIDE + 1):
                rows = range(row - up * block, row - (up - 1) * block)
                columns = range(column + aside * block - block // 2, column + aside * block + block - block // 2)
                values = [each for i in rows for j in columns for each in grey(i, j)]
                blocks.append(sum(values) / len(values))
        assert told.tolist() == pytest.approx([*window, *own, *blocks])


# --- which pixels a step looks at ------------------------------------------------------------------------------------


@torch.no_grad()
def test_every_number_is_in_one_stratum_and_the_loss_is_right_in_the_mean() -> None:
    spec = DataSpec((1, 8, 9), kind="unit")
    model = made(spec, pixels=60, near=0.3, quiet=0.2)
    x = strokes(5, spec.shape)
    strata = model._strata(x.flatten(1)[:, model.order])
    assert len(strata) == 3
    assert torch.cat([some for some, _ in strata]).sort().values.tolist() == [*range(x.numel())]
    assert [count for _, count in strata] == [30, 18, 12]
    everywhere = model._strata(torch.ones(5, 72, dtype=torch.float64))
    assert [count for _, count in everywhere] == [43, 17]  # only the first pixels see nothing
    picture, place = strata[0][0][0] // 72, strata[0][0][0] % 72
    row, column = int(place // 9), int(place % 9)
    seen = [x[picture, 0, i, j] for i, j in ((row, column - 1), (row - 1, column - 1), (row - 1, column), (row - 1, column + 1))]
    assert max(seen) > 0
    whole = float(model.validate(Batch(x))["loss"])
    model.train()
    tried = torch.stack([model.loss(Batch(x))["loss"] for _ in range(300)])
    error = float(tried.std()) / 300**0.5
    assert error < 0.02 * whole
    assert float(tried.mean()) == pytest.approx(whole, abs=4 * error)


# --- the bijection ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 3, 3)])
@pytest.mark.parametrize("head", ["categorical", "logistic_mixture"])
@torch.no_grad()
def test_noise_to_pictures_undoes_pictures_to_noise_and_the_density_is_the_probability(shape, head: str) -> None:
    spec = DataSpec(shape, kind="unit", levels=7)
    model = made(spec, head={"name": head})
    x = torch.randint(0, 7, (6, *shape)).double() / 6
    torch.manual_seed(1)
    z, log_det = model.transform(x)
    torch.manual_seed(1)
    u = model.noise(x)
    y, back = model.inverse(z)
    assert torch.allclose(y, (6 * x + u) / 7, atol=1e-7)
    assert torch.allclose(back, -log_det, atol=1e-5)
    assert torch.equal(model.pictures(z), x)
    log_normal = -0.5 * z.square().sum(1) - 0.5 * model.dim * math.log(2 * math.pi)
    assert torch.allclose(log_normal + log_det, model.log_prob(x) + model.dim * math.log(7), atol=1e-6)


@torch.no_grad()
def test_the_slope_of_one_number_is_what_the_determinant_counts() -> None:
    spec = DataSpec((1, 2, 2), kind="unit", levels=4)
    model = made(spec)
    table = model.head.log_table(torch.randn(3, 4, dtype=torch.float64))
    k, u, step = torch.tensor([0, 2, 3]), torch.tensor([0.3, 0.6, 0.8]).double(), 1e-6
    (low, _), (high, _) = (model._to_noise(k, u + side * step, table) for side in (-1, 1))
    assert torch.allclose(((high - low) / (2 * step / 4)).log(), model._to_noise(k, u, table)[1], atol=1e-6)


def test_numbers_come_pixel_by_pixel_and_channel_by_channel() -> None:
    """As the neighbourhood takes them: rows from above, pixels from the left, all channels of a pixel together."""
    x = torch.arange(2 * 3 * 4).view(1, 2, 3, 4)
    order = made(DataSpec((2, 3, 4), kind="unit", levels=3)).order
    assert torch.equal(x.flatten(1)[:, order], x.permute(0, 2, 3, 1).flatten(1))


@torch.no_grad()
def test_samples_of_the_base_are_samples_of_the_model() -> None:
    """Pictures of three greys: the frequencies of pictures of N(0, I) are their probabilities."""
    model = made(DataSpec((1, 1, 3), kind="unit", levels=3))
    every = torch.cartesian_prod(*[torch.arange(3)] * 3).double().view(-1, 1, 1, 3) / 2
    p = model.log_prob(every).exp()
    drawn = model.pictures(model.sample_base(4000)).flatten(1)
    index = ((drawn * 2).round() * torch.tensor([9.0, 3.0, 1.0])).sum(1).long()
    counts = torch.bincount(index, minlength=27)
    assert float(((counts - 4000 * p).square() / (4000 * p)).sum()) < 27 + 6 * 54**0.5


# --- patches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", range(4))
@pytest.mark.parametrize("transformer", ["affine", "spline"])
def test_patches_are_moved_and_moved_back_and_the_determinant_is_autograds(layer: int, transformer: str) -> None:
    torch.manual_seed(layer)
    keys = {"patch": 2, "width": 8, "blocks": 1, "attention_heads": 2}
    part = shaken(PatchAutoregressive((1, 4, 4), layer, transformer=transformers.part(transformer), **keys), 0.3)  # type: ignore[arg-type]
    x = torch.randn(3, 16, dtype=torch.float64)
    z, log_det = part(x)
    jacobian = torch.autograd.functional.jacobian(lambda v: part(v[None])[0][0], x[0])
    assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, log_det[0])
    assert bool((jacobian - jacobian.diag().diag()).abs().max() > 1e-3)  # patches depend on one another
    for grad in (True, False):  # without a cache and with one
        with torch.set_grad_enabled(grad):
            back, more = part.inverse(z)
        assert torch.allclose(back, x, atol=1e-9)
        assert torch.allclose(more, -log_det, atol=1e-9)


def test_what_cannot_be_cut_into_patches_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be cut"):
        models.build({"name": "patch_flow", "patch": 3}, DataSpec((1, 8, 8), kind="unit"), Context())


# --- simple models ---------------------------------------------------------------------------------------------------


def test_histograms_cost_the_entropy_of_each_pixel() -> None:
    torch.manual_seed(0)
    p = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.25, 0.75]]).double()
    drawn = [torch.stack([torch.multinomial(row, n, True) for row in p], 1).view(n, 1, 1, 3) for n in (20_000, 500, 20_000)]
    entropy = -float(torch.xlogy(p, p).sum(1).mean())
    assert simple_bits.histograms(*drawn, 2) == pytest.approx(entropy, abs=0.01)
    unseen = simple_bits.histograms(
        torch.zeros(4, 1, 1, 2).long(), torch.ones(2, 1, 1, 2).long(), torch.ones(2, 1, 1, 2).long(), 2
    )
    assert unseen == pytest.approx(-math.log(1 / 6))  # (0 + 1)/(4 + 2)


def test_pseudo_counts_are_chosen_on_the_validation_part() -> None:
    """What was never seen comes up in validation: one count of each value is best there, whatever the test part has."""
    train, unseen = torch.zeros(4, 1, 1, 2).long(), torch.ones(2, 1, 1, 2).long()
    assert simple_bits.histograms(train, unseen, train, 2) == pytest.approx(-math.log(5 / 6))


def test_a_gaussian_of_even_greys_costs_more_than_their_number() -> None:
    """Under the best Gaussian numbers that are uniform cost ½ ln(2πe/12) more than ln K."""
    torch.manual_seed(0)
    parts = [torch.randint(0, 16, (n, 1, 2, 2)) for n in (4000, 500, 4000)]
    found = simple_bits.by_ppca(*parts, 16)
    assert found == pytest.approx(math.log(16) + 0.5 * math.log(2 * math.pi * math.e / 12), abs=0.01)


def test_shades_of_neighbours_are_black_white_and_six_between() -> None:
    greys = torch.tensor([0, 1, 41, 42, 125, 249, 250, 255])
    x = torch.zeros(8, 1, 1, 2).long()
    x[:, 0, 0, 0] = greys
    left = simple_bits._context(x, 256, 8).view(8, 2)[:, 1] // 8**4
    assert left[[0, 1, -3, -2, -1]].tolist() == [0, 1, 6, 7, 7]
    assert bool((left.diff() >= 0).all())


def test_a_table_of_neighbours_knows_what_they_tell() -> None:
    """Each pixel is the one above it with probability 0.9; those of the first row are coins."""
    torch.manual_seed(0)
    parts = []
    for n in (3000, 1000):
        x = torch.randint(0, 2, (n, 1, 1, 4))
        rows = [x]
        for _ in range(5):
            rows.append(torch.where(torch.rand(x.shape) < 0.9, rows[-1], 1 - rows[-1]))
        parts.append(torch.cat(rows, 2))
    found = simple_bits.neighbours(*parts, 2)
    first, later = math.log(2), -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert set(found) == {4, 5}
    assert found[4] == pytest.approx((first + 5 * later) / 6, abs=0.06)


def test_a_table_of_one_context_is_counts_with_backoff() -> None:
    """Of black pictures with one that never came: types = 1 at each order, p = 1/2 of what there was before."""
    black, dot = torch.zeros(1, 1, 2, 2).long(), torch.zeros(1, 1, 2, 2).long()
    dot[0, 0, 1, 1] = 1
    p, q = 0.5, 0.5
    for _ in range(5):  # orders 0 to 4
        p, q = (4 + p) / 5, q / 5
    assert simple_bits.neighbours(black, dot, 2)[4] == pytest.approx(-(3 * math.log(p) + math.log(q)) / 4)
    found = simple_bits.table_of(dot, 3).log_prob(torch.tensor([0, 1, 2, 2]).view(1, 1, 2, 2), 0)  # two types, no context
    assert found.exp().tolist() == pytest.approx([(3 + 2 / 3) / 6, (1 + 2 / 3) / 6, (2 / 3) / 6, (2 / 3) / 6])


# --- other pictures --------------------------------------------------------------------------------------------------


def test_pictures_are_altered_as_their_names_say() -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 256, (3, 2, 6, 5), dtype=torch.uint8)
    found = {name: altered(ImageSet(x), alter).x for name, alter in MADE.items()}
    assert all(each.shape == x.shape and each.dtype == torch.uint8 for each in found.values())
    assert not found["black"].any()
    assert torch.equal(found["inverted"], 255 - x)
    assert bool(((found["faded"].int() - x.int() / 2).abs() <= 0.5).all())
    assert torch.equal(found["shuffled"].flatten(2).sort(2).values, x.flatten(2).sort(2).values)
    assert len({tuple(each) for each in found["shuffled"].flatten(2).argsort(2)[:, 0].tolist()}) == 3
    assert float(found["blurred"].double().std()) < 0.6 * float(x.double().std())
    assert float(found["blurred"].double().mean()) == pytest.approx(float(x.double().mean()), rel=0.1)
    assert {*altered(ImageSet(255 * (x > 99).byte()), MADE["blurred"]).x.unique().tolist()} <= {0, 255}


def test_the_middle_of_a_gaussian_is_likelier_than_its_samples_and_not_typical() -> None:
    """The trap in closed form: N(0, I) of 100 dimensions, whose H is 50 ln 2πe; and a background twice as wide."""
    random = np.random.default_rng(0)
    points = {
        "test": random.normal(size=(400, 100)),
        "middle": 0.3 * random.normal(size=(300, 100)),
        "wide": 2 * random.normal(size=(300, 100)),
    }

    def log_prob(x: np.ndarray, scale: float) -> np.ndarray:
        return -0.5 * (x**2).sum(1) / scale**2 - 50 * math.log(2 * math.pi * scale**2)

    typical = 50 * math.log(2 * math.pi * math.e)
    judged = {name: typicality.Judged(log_prob(x, 1), log_prob(x, 2), typical) for name, x in points.items()}
    subject = SimpleNamespace(found={typicality.judged.__wrapped__: judged})  # type: ignore[attr-defined]
    share, nll, typed, ratio = (
        {name: each.value for name, each in measure(subject).items()}  # type: ignore[arg-type, operator]
        for measure in (typicality.likelier, typicality.auroc_nll, typicality.auroc_typicality, typicality.auroc_likelihood_ratio)
    )
    assert share == {"middle": 1, "wide": 0}
    assert nll == {"middle": 0, "wide": 1}
    assert min(typed.values()) > 0.99
    assert ratio["wide"] > 0.99


def test_the_background_model_is_the_same_table_of_pictures_with_random_greys(monkeypatch: pytest.MonkeyPatch) -> None:
    """H is the mean over training pictures, and each picture's ln b is the sum over its pixels."""
    torch.manual_seed(0)
    greys = torch.randint(0, 4, (50, 1, 3, 3), dtype=torch.uint8) * 85
    part, test = ImageSet(greys), ImageSet(greys[:5])
    likelihood = SimpleNamespace(log_prob=torch.tensor([-3.0, -5.0]).repeat(5)[:5])
    monkeypatch.setattr(typicality, "likelihood", lambda subject, x: likelihood)
    monkeypatch.setattr(typicality, "of_test", lambda subject: likelihood)
    monkeypatch.setattr(typicality, "MUTATED", 0.0)
    monkeypatch.setattr(typicality.anomalies, "others", lambda subject: {"same": test})
    data = SimpleNamespace(train=part, examples=lambda n, seed: part.batch())
    subject = SimpleNamespace(
        found={},
        data=data,
        test_part=test,
        model=SimpleNamespace(levels=4),
        settings=SimpleNamespace(seed=0),
        device=torch.device("cpu"),
    )
    found = typicality.judged(subject)  # type: ignore[arg-type]
    table = simple_bits.table_of(simple_bits.greys_of(part, 4), 4)
    own = table.log_prob(simple_bits.greys_of(test, 4)).view(5, 9).sum(1)
    assert found["same"].typical == pytest.approx(3.8)
    assert found["same"].background == pytest.approx(own.numpy())
    assert found["test"].ratio == pytest.approx(own.numpy() - likelihood.log_prob.numpy())
    subject.found.clear()
    subject.model, told = SimpleNamespace(head=SimpleNamespace(levels=4)), []  # an autoregressive model's
    monkeypatch.setattr(typicality, "table_of", lambda greys, levels: told.append(levels) or table)
    assert typicality.judged(subject)["same"].background == pytest.approx(own.numpy())  # type: ignore[arg-type]
    assert told == [4]
    monkeypatch.setattr(typicality, "table_of", simple_bits.table_of)
    monkeypatch.setattr(typicality, "MUTATED", 0.9)
    subject.found.clear()
    assert typicality.judged(subject)["same"].background.mean() < own.mean()  # type: ignore[arg-type]


def test_sets_are_drawn_beside_one_another() -> None:
    random = np.random.default_rng(0)
    sets = {"test": random.random((8, 1, 4, 4)), "other": np.zeros((8, 1, 4, 4))}
    scores = {name: {"test": random.normal(size=50), "other": np.full(50, -9.0)} for name in ("a", "b")}
    figure = told_apart(sets, scores, {"a": {"other": 0.0}, "b": {"other": 1.0}}, 0.5)
    axes = figure.axes
    assert [each.get_title() for each in axes] == ["test", "other", "a", "b"]
    assert axes[2].get_ylim()[1] < 0.5  # the bar of equal scores does not squeeze the others
