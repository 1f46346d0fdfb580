"""What samples are judged by: its limits, failing samplers, the verdict, and that no record claims what a trial did not find."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import mannwhitneyu
from torch import Tensor

from genexp.config.composition import compose
from genexp.data.base import Batch, DataSpec
from genexp.divergences.wasserstein import wasserstein
from genexp.errors import UserError
from genexp.failures.base import Real, failures, sampler_on_trial, samplers
from genexp.failures.copies import DISTINCT
from genexp.failures.modes import TEMPERATURE
from genexp.failures.spoilt import OUTLIERS, SHIFT, WIDER
from genexp.measures import trial
from genexp.measures.copies import memorised, ratio_of
from genexp.measures.distances import frechet, mmd, share_variation, sliced_wasserstein, two_sample_accuracy
from genexp.measures.neighbours import likeness
from genexp.measures.on_trial import tried
from genexp.measures.record import eyesight, measures
from genexp.models.metric_trial import MetricTrial, by_gaussians, clusters
from genexp.pictures.trial import lamps_of, square
from genexp.registry import models
from genexp.runs.experiment import build
from genexp.subject import Subject
from genexp.summary import results_table
from tests.subjects import taken

STORED = sorted(
    (Path(__file__).parent / "trials").glob("*.json")
)  # metrics.json of `genexp run experiment=metric_trial dataset=NAME …`
PICTURES = {"digits", "drawn_fruit", "fruit"}


def cloud(n: int, dim: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- limits ----------------------------------------------------------------------------------------------------------


def test_equal_clouds_are_at_no_distance() -> None:
    x = cloud(60)
    again = x[torch.randperm(60)]
    for distance in (mmd, frechet, wasserstein, sliced_wasserstein):
        assert distance(x, again) == pytest.approx(0, abs=1e-6)
    assert share_variation(x, again) == pytest.approx(0, abs=1e-12)
    found = likeness(x, x)  # each of n balls about a real point holds that point and k = 5 others, of which each counts 1/5
    assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, pytest.approx(6 / 5), 1)
    torch.manual_seed(0)
    assert two_sample_accuracy(x, x) > 0.5  # the nearest of each point is its twin, always of the other cloud: that can be learnt


def test_a_cloud_whose_points_all_come_twice_is_the_same_distribution() -> None:
    x, y = cloud(40), cloud(40, seed=1)
    twice = x.repeat(2, 1)
    assert mmd(twice, y, real=y) == pytest.approx(mmd(x, y, real=y))  # means over all pairs
    mean = (x.mean(0) - y.mean(0)).square().sum()
    assert frechet(twice, twice) == pytest.approx(0, abs=1e-6)
    assert frechet(x, x.repeat(50, 1)) < 1e-3 < float(mean)  # n/(n−1) of the covariances differs, no more
    assert wasserstein(twice, y.repeat(2, 1)) == pytest.approx(wasserstein(x, y))
    found = likeness(twice, twice, k=1)  # the radius is 0: a ball holds its own point and the twin; each counts as one other
    assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, pytest.approx(2), 1)


def test_single_points_have_a_defined_distance() -> None:
    """Two points at a distance d: W₁ = d, |μ₁ − μ₂|² = d², and √(2 − 2k) of a kernel that is 1 at 0 (its width is 1 then)."""
    zero, point = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert wasserstein(zero, point) == pytest.approx(5)
    assert frechet(zero, point) == pytest.approx(25)
    kernel = sum(math.exp(-25 / 2 * 4**j) for j in range(3)) / 3
    assert mmd(zero, point) == pytest.approx(math.sqrt(2 - 2 * kernel))
    for distance in (wasserstein, frechet, mmd):
        assert distance(point, point) == 0
    assert two_sample_accuracy(zero, point) == 0.5
    apart, same = likeness(zero, point), likeness(point, point)
    assert (apart.precision, apart.recall, apart.density, apart.coverage) == (0, 0, 0, 0)
    assert (same.precision, same.recall, same.density, same.coverage) == (1, 1, 1, 1)
    assert share_variation(torch.tensor([[1, 0]]), torch.tensor([[0, 1]])) == 1
    assert memorised(torch.tensor([1.0]), torch.tensor([1.0])) == 0.5


def test_constant_features_tell_nothing() -> None:
    constant = torch.full((30, 4), 0.7)
    for distance in (mmd, frechet, wasserstein, sliced_wasserstein):
        assert distance(constant, constant) == pytest.approx(0, abs=1e-9)
    torch.manual_seed(0)
    assert two_sample_accuracy(constant, constant) <= 0.5  # of each fifth the other class is in the majority of what was learnt
    found = likeness(constant, constant)  # all n balls hold every sample, and each has n − 1 others
    assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, pytest.approx(30 / 29), 1)
    half = torch.cat([cloud(30, 1), torch.zeros(30, 1)], dim=1)  # one number of two is constant
    assert frechet(half, half + torch.tensor([0.0, 2.0])) == pytest.approx(4)
    assert ratio_of(torch.zeros(3), torch.zeros(3)) == 1
    assert ratio_of(torch.ones(3), torch.zeros(3)) is None


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_the_frechet_distance_is_that_of_two_gaussians() -> None:
    x, y = cloud(50), cloud(70, seed=1) @ torch.tensor([[1.0, 0.5, 0], [0, 2, 0.3], [0, 0, 0.4]]).double() + 1
    one, other = x.mT.cov(), y.mT.cov()
    root = np.trace(sqrtm(one.numpy() @ other.numpy()).real)
    expected = float((x.mean(0) - y.mean(0)).square().sum() + one.trace() + other.trace()) - 2 * root
    assert frechet(x, y) == pytest.approx(expected) == pytest.approx(frechet(y, x))
    assert frechet(x, 3 * x) == pytest.approx(4 * float(one.trace() + x.mean(0).square().sum()))  # (3 − 1)² of every deviation


def test_the_kernel_distance_is_the_sum_over_all_pairs() -> None:
    x, y = cloud(7), 0.5 * cloud(9, seed=1) + 1
    squares = torch.cdist(y, y).square().flatten()
    width = squares[squares > 0].median()

    def k(a: Tensor, b: Tensor) -> float:
        return float(sum((-torch.cdist(a, b).square() / (2 * width) * 4**j).exp().mean() for j in range(3)) / 3)

    assert mmd(x, y) == pytest.approx(math.sqrt(k(x, x) + k(y, y) - 2 * k(x, y)))


def test_memorisation_is_the_statistic_of_mann_and_whitney() -> None:
    near, usual = torch.tensor([0.0, 0.1, 0.5, 0.5, 2.0]), torch.tensor([0.3, 0.5, 0.9])
    u = mannwhitneyu(usual, near).statistic  # pairs in which the sample is nearer, ties half
    assert memorised(near, usual) == pytest.approx(u / 15)
    assert memorised(torch.zeros(4), usual) == 1


# --- the failing samplers --------------------------------------------------------------------------------------------


def real(n: int = 20_000, dim: int = 2) -> Real:
    """Four far Gaussians of variance ¼, of equal weight."""
    torch.manual_seed(1)
    mode, train = torch.arange(n) % 4, torch.randn(n // 4, dim)
    mode = mode[torch.randperm(n)]
    x = 0.5 * torch.randn(n, dim)
    log_p = -2 * x.square().sum(1)
    return Real(x + 10 * mode[:, None], mode, log_p, train, 4, 0.5)


def modes_of(x: Tensor) -> Tensor:
    return torch.bincount((x[:, 0] / 10).round().long().clamp(0, 3), minlength=4) / len(x)


@pytest.mark.parametrize("name", samplers())
def test_every_sampler_makes_as_many_points_and_pictures_as_asked(name: str) -> None:
    torch.manual_seed(0)
    mode = torch.arange(160) % 3
    pictures = Real(torch.rand(160, 3, 8, 8), mode, torch.randn(160), torch.rand(80, 3, 8, 8), 3, 0.1)
    for each in (real(160), pictures):
        for n in (1, 40):
            x = sampler_on_trial(name)(each, n)
            assert x.shape == (n, *each.fresh.shape[1:])
            assert bool(x.isfinite().all())
            assert not each.pictures or bool(((x >= 0) & (x <= 1)).all())


def test_they_fail_as_they_say() -> None:
    torch.manual_seed(2)
    data, n = real(), 4_000

    def made(name: str) -> Tensor:
        return sampler_on_trial(name)(data, n)

    assert torch.equal(made("truth"), data.fresh[:n])
    assert sorted(modes_of(made("lost_mode")).tolist())[0] == 0
    assert sorted(modes_of(made("lost_mode")).tolist())[1] == pytest.approx(1 / 3, abs=0.03)
    assert sorted(modes_of(made("wrong_weight")).tolist())[3] == pytest.approx(2 / 5, abs=0.03)
    own = made("sharpened")
    own = own - 10 * (own / 10).round()
    assert float(own.var()) == pytest.approx(TEMPERATURE * 0.25, rel=0.08)  # of p^(1/T) of a Gaussian T σ²
    assert torch.allclose(modes_of(made("sharpened")), torch.full((4,), 0.25), atol=0.03)
    own = made("blur") - 10 * (made("truth") / 10).round()
    assert float(own.var()) == pytest.approx(0.25 * (1 + WIDER**2), rel=0.06)
    assert torch.allclose(made("shift") - data.fresh[:n], torch.tensor([SHIFT * 0.5, 0.0]), atol=1e-5)
    far = (made("outliers") - data.fresh[:n]).abs().amax(1) > 0
    assert float(far.double().mean()) == pytest.approx(OUTLIERS, abs=0.006)
    assert len(made("few_distinct").unique(dim=0)) == DISTINCT
    assert torch.equal(made("copies"), data.train[:n])
    noise = made("noisy_copies") - data.train[:n]
    assert float(noise.std()) == pytest.approx(0.05 * 0.5, rel=0.05)


def test_blurred_pictures_are_means_of_neighbours() -> None:
    spot = torch.zeros(1, 1, 5, 5)
    spot[0, 0, 2, 2] = 1
    found = failures["blur"](Real(spot, torch.zeros(1).long(), torch.zeros(1), spot, 1, 0.1), 1)[0, 0]
    assert torch.allclose(found[1:4, 1:4], torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16)
    assert float(found.sum()) == pytest.approx(1)


# --- the model -------------------------------------------------------------------------------------------------------


def test_examples_are_dealt_out_without_overlap() -> None:
    model = MetricTrial(DataSpec((2,), kind="real"), examples=200, samples=60, rungs=3)
    model.initialise(Batch(cloud(300, 2).float()))
    assert model.ladder == [12, 25, 50]  # a quarter of the examples is enough
    train, held, fresh = model.deal(50)
    assert [len(train), len(held), len(fresh)] == [50, 50, 100]
    assert len({*train.tolist(), *held.tolist(), *fresh.tolist()}) == 200
    assert not torch.equal(train, model.deal(50)[0])
    assert not model.remarks()
    assert "39 are needed" in MetricTrial(DataSpec((2,)), repetitions=38).remarks()[0]
    with pytest.raises(UserError, match="19 examples are too few"):
        model.initialise(Batch(cloud(19, 2).float()))
    with pytest.raises(UserError, match="unknown sampler on trial 'blurr'"):
        models.build({"name": "metric_trial", "sampler": "blurr"}, DataSpec((2,), kind="real"))


def test_clusters_stand_for_classes() -> None:
    data = real(2_000)
    torch.manual_seed(0)
    nearest = torch.cdist(data.fresh, clusters(data.fresh, 4)).argmin(1)
    assert len({(a, b) for a, b in zip(nearest.tolist(), data.mode.tolist(), strict=True)}) == 4
    some = (data.mode != 0) | (torch.rand(2_000) < 0.3)
    mode = data.mode[some]
    weight = torch.bincount(mode).float() / len(mode)
    gap = by_gaussians(data.fresh[some], mode) - data.log_density[some] - weight.log()[mode]
    assert float(gap.std()) < 0.15  # the true one, but for a constant


# --- the verdict -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("better", ["lower", "higher", "exact"])
def test_the_verdict_has_its_level_also_of_a_number_of_few_values(better: str) -> None:
    """P(a new value is above the k-th largest of n) = k / (n + 1), on average over the calibration."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(60, 398)), rng.integers(0, 3, (60, 398)).astype(float)):
        alarms = sum(trial.verdict(better, row, np.zeros((1, 1)))[2] for row in values)  # type: ignore[arg-type]
        assert alarms / (60 * 199) == pytest.approx(0.05, abs=0.008)


def test_the_verdict_knows_which_side_is_worse() -> None:
    rng = np.random.default_rng(1)
    truth, others = rng.normal(size=400), np.stack([rng.normal(5, 1, 50), rng.normal(-5, 1, 50), rng.normal(size=50)])
    expected = {"lower": ([1, 0], [0, 1]), "higher": ([0, 1], [1, 0]), "exact": ([1, 1], [0, 0])}
    for better, (suspicious, better_than) in expected.items():
        noticed, praised, _ = trial.verdict(better, truth, others)  # type: ignore[arg-type]
        assert noticed[:2].round(1).tolist() == suspicious
        assert praised[:2].round(1).tolist() == better_than
        assert noticed[2] < 0.25


def test_the_fewest_samples_are_those_from_which_on_it_is_noticed() -> None:
    shares = np.array([[[0.2, 0.6, 0.9], [0.9, 0.1, 0.8], [0.9, 0.9, 0.4], [0.6, 0.7, 1.0]]])
    found = trial.Trial(("a",), ("b", "c", "d", "e"), (10, 20, 40), shares, 0 * shares, np.zeros(1), np.ones(1))
    assert found.fewest(shares).tolist() == [[20, 40, 0, 10]]


def test_false_alarms_are_a_share_of_the_repetitions_that_could_raise_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six true ones, every second of them looked at: one sets the threshold, two are judged, and here both are suspicious."""
    words = ["experiment=metric_trial", "model.samples=100", "model.rungs=1", "model.failing=2"]
    subject = build(compose(words).settings)
    subject.model.initialise(subject.data.examples(1_000, 0))
    subject.model.repetitions = 3
    measures.all()
    cheap = next(each for each in tried if "sliced_wasserstein" in each.names)
    monkeypatch.setattr(trial, "tried", [replace(cheap, every=2)])
    monkeypatch.setattr(trial, "verdict", lambda better, truth, others: (*2 * [others.mean(1)], len(truth) - len(truth) // 2))
    found = trial.trial(subject)
    assert (found.alarms / found.truths).tolist() == [1.0] * len(found.names)


# --- a small trial ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Subject:
    """Of everything but the classifier, which takes its time."""
    words = ["experiment=metric_trial", "model.samples=100", "model.rungs=1", "model.repetitions=60", "model.failing=10"]
    subject = build(compose(words).settings)
    subject.model.initialise(subject.data.examples(4_000, 0))
    measures.all()  # whose modules say what is on trial
    quick = [each for each in tried if "c2st" not in each.names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "tried", quick)
        trial.trial(subject)
    return subject


def test_a_small_trial_finds_what_is_known(small: Subject) -> None:
    found = trial.trial(small)
    share = dict(zip(found.names, found.noticed[..., 0], strict=True))
    of = {name: index for index, name in enumerate(found.failures)}
    for name in ("memorisation", "nearest_train_ratio"):
        assert share[name][of["copies"]] == share[name][of["noisy_copies"]] == 1
    for name in ("precision", "coverage", "mmd", "sliced_wasserstein", "share_variation"):
        assert share[name][of["copies"]] < 0.5  # they are samples of the truth
    assert share["recall"][of["few_distinct"]] == share["coverage"][of["few_distinct"]] == 1
    assert share["sample_nll"][of["outliers"]] > 0.3
    assert share["sample_nll"][of["sharpened"]] > 0.8
    assert share["sample_nll"][of["lost_mode"]] < 0.5
    numbers = taken(small, "noticed", "noticed_by", "false_alarms", "praised")
    assert "copies 100" in str(numbers["noticed/memorisation"])
    assert numbers["noticed_by/few_distinct"] >= 3  # type: ignore[operator]
    assert all(numbers[f"false_alarms/{name}"] < 0.25 for name in found.names)  # type: ignore[operator]


def test_records_claim_nothing_that_a_small_trial_contradicts(small: Subject) -> None:
    """What is never noticed with four times as many samples is not noticed here."""
    found = trial.trial(small)
    for name, row in zip(found.names, found.noticed[..., 0], strict=True):
        seen = {found.failures[index] for index in np.flatnonzero(row > 0.8)}
        for each in measures.all():
            assert each.name != name or not applies(each.needs.data, pictures=False) or not seen & {*each.cannot_see}, name


@torch.no_grad()
def test_pictures_are_tried_in_two_spaces_and_drawn() -> None:
    words = ["experiment=metric_trial", "dataset=digits", "model.samples=10", "model.rungs=1", "evaluation.classifier_steps=2"]
    subject = build(compose([*words, "model.repetitions=2", "model.failing=1"]).settings)
    subject.model.initialise(subject.data.examples(1_000, 0))
    found = trial.trial(subject)
    both = {"precision", "recall", "density", "coverage", "mmd", "frechet"}
    assert {*found.names} == both | {f"{name}/classifier" for name in both} | {
        *("share_variation", "nearest_train_ratio", "memorisation"),
    }
    assert found.noticed.shape == found.praised.shape == (15, len(failures.names()), 1)
    [table] = lamps_of(subject).axes
    assert len(table.child_axes) == len(failures.names()) + 1  # a small picture of each, and of the truth
    assert square(torch.rand(9, 3, 4, 5)).shape == (14, 17, 3)
    own = subject.model.sample(400)
    assert own.shape == (400, 1, 8, 8)
    assert all(any(torch.equal(x, each) for each in subject.model.x) for x in own[:3])  # of the truth


# --- what records claim ----------------------------------------------------------------------------------------------


def said_in(table: dict[str, object], kind: str) -> dict[str, set[str]]:
    """Number → the failures that it noticed, or missed."""
    words = {key.removeprefix(f"{kind}/"): str(said).split(", ") for key, said in table.items() if key.startswith(f"{kind}/")}
    return {name: {word.split(" ")[0] for word in found} - {"none"} for name, found in words.items()}


def test_records_say_what_the_stored_trials_found() -> None:
    """A measure sees what it noticed on every data set and in every space of its trials; it cannot see what it always missed."""
    tables = {path.stem: json.loads(path.read_text()) for path in STORED}
    assert {"eight_gaussians", "banana", "digits", "drawn_fruit"} <= {*tables}
    claims = []
    for each in measures.all():
        if not any(each.name in some.names for some in tried):
            continue
        for kind, claimed in (("noticed", each.sees), ("missed", each.cannot_see)):
            rows = [
                found
                for stem, table in tables.items()
                if applies(each.needs.data, pictures=stem in PICTURES)
                for name, found in said_in(table, kind).items()
                if name.partition("/")[0] == each.name
            ]
            assert rows, each.name
            assert {*claimed} == set.intersection(*rows), f"{each.name} {kind}"
        claims.append(each.name)
    assert len(claims) >= 20


def applies(needs: frozenset[str], pictures: bool) -> bool:
    """Whether a measure is taken of pictures, or of points."""
    return not (needs & ({"points", "plane"} if pictures else {"pictures"}))


def test_the_stored_trials_have_their_false_alarms() -> None:
    """Of each measure, over data sets and spaces: 5 ± 2 %, or within three standard errors where these are more."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in STORED:
        table = json.loads(path.read_text())
        for key in table:
            if key.startswith("false_alarms/") and not key.endswith("_error"):
                found.setdefault(key.split("/")[1], []).append((table[key], table[f"{key}_error"]))
    assert len(found) >= 13
    for name, rates in found.items():
        rate, error = np.mean([rate for rate, _ in rates]), math.sqrt(sum(error**2 for _, error in rates)) / len(rates)
        assert abs(rate - 0.05) < max(0.02, 3 * error), name


def test_a_summary_says_what_numbers_cannot_see_once_and_in_lines_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    own = {"meaning": "…", "sees": ["lost_mode"], "cannot_see": ["copies", "noisy_copies"]}
    earlier = {"meaning": "…", "blind": ["outliers", "shift", "blur", "sharpened", "wrong_weight", "few_distinct", "copies"]}
    assert eyesight(own) == "sees lost mode; cannot see copies, noisy copies"
    words = {"coverage": own, "recall": own, "mmd": earlier, "nll": {}}
    said = results_table({"coverage": 0.9, "recall": 0.8, "mmd": 0.1, "nll": 2.0}, words)
    assert said.count("lost mode") == said.count("noisy copies") == 1
    assert "coverage, recall: sees lost mode; cannot see copies, noisy copies" in " ".join(said.split())
    assert "mmd: cannot see outliers, shift, blur, sharpened, wrong weight, few distinct, copies" in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 80
    assert results_table({"nll": 2.0}, words).count("see") == 0
