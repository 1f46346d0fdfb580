"""What turns a model of pictures into the numbers of a run: each from a model or data whose right number is known."""

import math
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.bijections.bases import log_standard
from genexp.data.base import Batch, DataSpec
from genexp.data.drawn_fruit import DrawnFruit
from genexp.data.glyphs import Glyphs
from genexp.data.images import ImageData, ImageSet
from genexp.folder.run_folder import RunFolder
from genexp.latent.importance import Importance
from genexp.latent.likelihoods import Bernoulli, DiscretisedLogistic, Gaussian
from genexp.latent.mixture import MixturePrior
from genexp.latent.priors import VampPrior
from genexp.measures import likeness as likeness_measures
from genexp.measures.anomalies import Scores, told_apart
from genexp.measures.classes import confusion
from genexp.measures.copies import nearest_distance, ratio_of_distances
from genexp.measures.floors import picture_information
from genexp.measures.latents import count_active
from genexp.measures.neighbours import first_of_equals, likeness
from genexp.measures.probabilistic_pca import choose_ppca, fit_ppca
from genexp.measures.reconstruction import dequantised, error_and_kl
from genexp.models.vae import VAE
from genexp.pictures.draw import draw
from genexp.settings import EvaluationSettings, FigureSettings, RunSettings
from genexp.subject import Subject
from tests.parts import given, latent, vae
from tests.subjects import flat, taken

CPU = torch.device("cpu")
RECONSTRUCTION = ("squared_error", "article_loss", "bits_per_dim")
LIKELIHOOD = ("neg_elbo", "reconstruction", "iwae_nll", "quadrature_nll")
LIKENESS = ("precision", "recall", "density", "coverage", "nearest_train_ratio", "share", "classifier_accuracy")


class Data(ImageData):
    """Pictures made up by a test."""

    def __init__(self, train: ImageSet, validation: ImageSet, test: ImageSet, classes: tuple[str, ...] = ()) -> None:
        self.parts(train, validation, test, classes)


def subject(model: Any, data: ImageData, **evaluation: int) -> Subject:
    keys = {"importance_samples": 2, "quadrature_side": 4, **evaluation}
    parts: dict[str, Any] = {"evaluation": EvaluationSettings.model_validate(keys), "figures": FigureSettings(gif=False)}
    settings = RunSettings.model_construct(seed=0, trainer=SimpleNamespace(precision="float32", eval_size=8), **parts)  # type: ignore[arg-type]
    return Subject(model, data, settings, CPU)


class Sampler:
    """A model of which nothing is known but its samples."""

    can, objective = frozenset({"sample"}), "other"


def sample_numbers(about: Subject, samples: Tensor) -> dict[str, Any]:
    about.samples = samples
    return taken(about, *LIKENESS)


def noise(n: int, *shape: int, seed: int = 0) -> Tensor:
    """Pictures of independent bytes."""
    return torch.randint(256, (n, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


class Fixed:
    """One picture, given by the decoder's output, at whatever z; its posterior costs `kl` nats against N(0, I) at every z."""

    latent = 2
    can, objective = frozenset({"latents", "posterior", "plane"}), "bound"

    def __init__(self, likelihood: Any, raw: Tensor, kl: float = 0.0, prior: float = 0.0) -> None:
        self.likelihood, self.raw, self.kl, self.prior = likelihood, raw, kl, prior

    def infer(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return x

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.likelihood.mean(self.raw.expand(len(z), *self.raw.shape))

    def importance(self, x: Tensor, label: Tensor | None, k: int, parameters: Tensor | None = None) -> Importance:
        z = torch.randn(k, len(x), self.latent)
        log_likelihood = self.likelihood.log_prob(x, self.raw.expand(k, *x.shape))
        return Importance(z, log_likelihood, torch.full((k, len(x)), self.prior), log_standard(z) + self.kl)


# --- floors and baselines ------------------------------------------------------------------------------------


def entropy_of_bits(x: Tensor) -> float:
    """H(b) of one of the pictures x (n, d) at random, binarised at random, by enumeration."""
    bits = torch.tensor([*product((0.0, 1.0), repeat=x.shape[1])], dtype=torch.float64)
    p = (bits[:, None] * x.double() + (1 - bits[:, None]) * (1 - x.double())).prod(2).mean(1)
    return -float(torch.xlogy(p, p).sum())


def test_the_floor_of_a_likelihood_is_the_entropy_of_the_bits_and_not_of_the_pixels() -> None:
    torch.manual_seed(0)
    x = torch.rand(12, 5).pow(3)
    x[0, 0], x[1, 1] = 0, 1  # where ln p has no number
    pixels = Bernoulli(DataSpec((1,))).floor(x)
    assert pixels + picture_information(x, draws=40_000) == pytest.approx(entropy_of_bits(x), abs=0.02)
    label = torch.arange(12) % 3
    within = sum(entropy_of_bits(x[label == index]) for index in range(3)) / 3
    assert pixels + picture_information(x, label, draws=40_000) == pytest.approx(within, abs=0.02)
    assert within < entropy_of_bits(x) - 0.2  # a conditional model may know the class
    distinct = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert picture_information(distinct) == pytest.approx(math.log(3))
    assert picture_information(torch.rand(1, 5).expand(7, 5)) == pytest.approx(0, abs=1e-5)


def test_no_model_is_below_the_floor_on_the_pictures_that_it_knows_by_heart() -> None:
    """The best there is: p(x) the mean of p(x|x_j) over the test pictures themselves."""
    torch.manual_seed(0)
    x = torch.rand(30, 40).mul(8).sub(4).sigmoid()
    log_p = Bernoulli(DataSpec((1,))).pairs(x, torch.logit(x)).logsumexp(1) - math.log(30)
    floor = Bernoulli(DataSpec((1,))).floor(x) + picture_information(x)
    assert floor == pytest.approx(-float(log_p.mean()), abs=0.05)
    assert -float(log_p.mean()) > floor - 0.03


@pytest.mark.parametrize("conditional", [False, True])
def test_what_bounds_the_likelihood_has_a_higher_floor_than_the_reconstruction(conditional: bool) -> None:
    x, label = noise(40, 1, 3, 3), torch.arange(40) % 4
    part = ImageSet(x, label)
    model = Fixed(Bernoulli(DataSpec((1,))), torch.zeros(1, 3, 3), kl=1.0)
    model.can |= {"classes"} if conditional else set()
    about = subject(model, Data(part, part, part, ("a", "b", "c", "d")))
    metrics = taken(about, *LIKELIHOOD)
    pixels = Bernoulli(DataSpec((1,))).floor(part.batch().x)
    torch.manual_seed(1)
    information = picture_information(part.batch().x, label if conditional else None, draws=20_000)
    assert metrics["floor/reconstruction"] == pytest.approx(pixels)
    for name in ("neg_elbo", "iwae_nll"):
        assert metrics[f"floor/{name}"] == pytest.approx(pixels + information, abs=0.15)
    assert information > 0.5


def test_the_mean_picture_is_of_the_same_numbers_as_the_pictures() -> None:
    part = ImageSet(torch.full((20, 1, 2, 2), 77, dtype=torch.uint8))
    about = subject(Fixed(Bernoulli(DataSpec((1,))), torch.zeros(1, 2, 2)), Data(part, part, part))
    metrics = taken(about, *LIKELIHOOD)
    assert metrics["baseline/neg_elbo"] == pytest.approx(metrics["floor/reconstruction"], abs=1e-6)


def test_bytes_become_numbers_that_fill_their_bins() -> None:
    x = (torch.arange(256) / 255).repeat(50)[:, None]
    spread = 256 * dequantised(Batch(x), 256).x[:, 0].double()
    assert torch.equal(spread.floor().long(), torch.arange(256).repeat(50))
    assert float((spread - spread.floor()).std()) == pytest.approx(12**-0.5, rel=0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_bits_are_of_every_value_of_every_channel(channels: int) -> None:
    """Under a logistic as wide as can be, every byte inside has nearly the same probability; of one that is right, all."""
    part = ImageSet(noise(30, channels, 4, 4) // 2 + 64)
    wide = Fixed(DiscretisedLogistic(DataSpec((channels, 4, 4)), sigma=1e3, learn_sigma=False), torch.full((channels, 4, 4), 0.5))
    about = subject(wide, Data(part, part, part))
    s = 1e3 * math.sqrt(3) / math.pi
    found = taken(about, *RECONSTRUCTION)
    prior = log_standard(torch.randn(100_000, 2)).mean()
    gap = float(prior) / (16 * channels) / math.log(2)  # ln q(z|x) of the stub, whose prior has ln p(z) = 0
    assert found["bits_per_dim"] == pytest.approx(math.log2(4 * s * 255) + gap, abs=0.05)


def test_the_articles_loss_is_squared_error_and_half_the_kl_to_the_standard_normal() -> None:
    """SE 3 and KL 8 make 7, whatever the model's own prior says."""
    x = torch.zeros(5, 3, 1, 1, dtype=torch.uint8)
    part = ImageSet(torch.cat([x, x + 255]))
    for prior in (0.0, -123.0):
        model = Fixed(
            Gaussian(DataSpec((3, 1, 1)), sigma=1.0, learn_sigma=False),
            torch.tensor([1.0, 1.0, 1.0]).view(3, 1, 1),
            kl=8.0,
            prior=prior,
        )
        about = subject(model, Data(part, part, ImageSet(x)))
        found = taken(about, *RECONSTRUCTION)
        assert found["squared_error"] == pytest.approx(3, rel=1e-6)
        assert found["article_loss"] == pytest.approx(7, rel=1e-5)


def test_the_baseline_of_bits_is_fitted_to_the_numbers_that_it_is_scored_on() -> None:
    """Pictures that are all alike: what is left to code is where in its bin each value was put, ½ log₂ 2πe/12 by a Gaussian."""
    part = ImageSet(torch.full((4000, 1, 2, 2), 200, dtype=torch.uint8))
    model = Fixed(DiscretisedLogistic(DataSpec((1, 2, 2)), sigma=0.1, learn_sigma=False), torch.zeros(1, 2, 2))
    found = taken(subject(model, Data(part, part, part)), *RECONSTRUCTION)
    assert found["baseline/bits_per_dim"] == pytest.approx(0.5 * math.log2(2 * math.pi * math.e / 12), abs=0.01)
    parts = [ImageSet(noise(n, 1, 6, 6, seed=n)) for n in (40, 30, 50)]  # of which twenty directions know nothing
    few = Data(parts[0], parts[1], parts[2])
    model = Fixed(DiscretisedLogistic(DataSpec((1, 6, 6)), sigma=0.1, learn_sigma=False), torch.zeros(1, 6, 6))
    found = taken(subject(model, few), *RECONSTRUCTION)
    assert float(found["baseline/bits_per_dim"]) < 8.6  # type: ignore[arg-type]


def test_fewer_directions_are_the_fit_of_fewer_and_the_likeliest_are_chosen() -> None:
    torch.manual_seed(0)
    x, others = (torch.randn(n, 3) @ torch.randn(3, 30, generator=torch.Generator().manual_seed(5)) for n in (60, 500))
    x, others = x + 0.1 * torch.randn_like(x), others + 0.1 * torch.randn_like(others)
    few, again = fit_ppca(x, 3), fit_ppca(x, 20).truncated(3)
    assert torch.allclose(few.log_prob(others), again.log_prob(others), rtol=1e-4)
    assert len(choose_ppca(x, others, 25).variances) == 4


def test_the_nearest_is_looked_for_among_all_training_pictures() -> None:
    train, test = noise(20_000, 1, 4, 4), noise(40, 1, 4, 4, seed=1)
    data = Data(ImageSet(train), ImageSet(test), ImageSet(test))
    brute = (data.test.batch().x.flatten(1)[:, None] - data.train.batch().x.flatten(1)).square().sum(2).amin(1)
    assert torch.allclose(nearest_distance(data.test.batch().x, train), brute, rtol=1e-5)
    model = Fixed(DiscretisedLogistic(DataSpec((1, 4, 4)), sigma=0.1, learn_sigma=False), torch.zeros(1, 4, 4))
    found = taken(subject(model, data), *RECONSTRUCTION)
    assert found["baseline/squared_error"] == pytest.approx(float(brute.mean()), rel=1e-5)
    copies = train[torch.randperm(20_000, generator=torch.Generator().manual_seed(2))[:30]].float() / 255
    assert sample_numbers(subject(Sampler(), data), copies)["nearest_train_ratio"] == 0


def test_distances_of_near_copies_are_those_of_their_differences() -> None:
    train = torch.rand(300, 1, 40, 40)
    step = 1e-4 * torch.ones_like(train[:50])
    assert torch.allclose(nearest_distance(train[:50] + step, train), torch.tensor(1600e-8), rtol=1e-2)
    assert nearest_distance(train[200:], train).max() == 0


# --- likeness ------------------------------------------------------------------------------------------------


def test_a_tiny_cloud_in_a_wide_one_is_inside_and_covers_nothing() -> None:
    torch.manual_seed(0)
    tiny, wide = 1e-3 * torch.randn(200, 3), torch.randn(200, 3)
    found = likeness(tiny, wide)
    assert found.coverage == 0
    assert found.recall == 1
    assert found.precision == found.density == 0
    turned = likeness(wide, tiny)
    assert turned.precision == 1
    assert turned.recall == 0
    assert 0 < turned.coverage < 0.5


def test_copies_and_ties_count_as_what_they_are() -> None:
    torch.manual_seed(0)
    prototypes = torch.randn(10, 6)
    found = likeness(prototypes.repeat(40, 1), prototypes[torch.randint(10, (400,))])
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx(1, abs=0.03)
    half = (
        torch.cat([torch.randn(300, 6), prototypes[:1].repeat(300, 1)]),
        torch.cat([torch.randn(300, 6), prototypes[:1].repeat(300, 1)]),
    )
    found = likeness(*half)
    assert found.coverage > 0.95
    assert found.density == pytest.approx(1, abs=0.1)
    real, fake = torch.randn(60, 2).double(), torch.randn(50, 2).double()  # no ties: the definition, one by one
    radius = (real[:, None] - real).norm(dim=2).sort(1).values[:, 5]
    inside = (real[:, None] - fake).norm(dim=2) <= radius[:, None]
    assert likeness(real, fake).density == pytest.approx(float(inside.double().sum()) / 5 / 50)
    one = likeness(prototypes[:1].repeat(20, 1), prototypes[:1].repeat(20, 1))
    assert (one.precision, one.recall, one.coverage) == (1, 1, 1)


def test_where_test_pictures_are_training_pictures_nothing_is_nearer() -> None:
    train = torch.rand(50, 4)
    assert ratio_of_distances(train[:20], train[20:40], train) == 1
    assert ratio_of_distances(train[:20] + 0.1, train[20:40], train) is None
    assert ratio_of_distances(train[:20], train[20:40] + 0.1, train) == 0
    assert ratio_of_distances(train[:20] + 1e-3, train[20:40] + 2e-3, train) == pytest.approx(0.5, rel=1e-3)


def test_equal_pictures_are_found() -> None:
    one, other = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])
    assert first_of_equals(one, other).tolist() == [0, 1, 0, 1, 4]


def test_samples_that_are_the_data_score_like_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures again and again: the other half gets 1 everywhere, and so do the samples, even where equal pictures have
    features that differ in the last digits. The labels of the test part are seen by the classifier's accuracy alone.
    """
    principal = likeness_measures._principal
    monkeypatch.setattr(likeness_measures, "_principal", lambda *sets: (x := principal(*sets)) + 1e-6 * torch.rand_like(x))
    prototypes, label = noise(2, 1, 8, 8), torch.arange(64) % 2
    train = ImageSet(prototypes[label], label)
    drawn = train.batch().x[torch.tensor([0] * 24 + [1] * 8)]
    numbers = []
    for test in (train, ImageSet(train.x, 1 - label)):
        about = subject(Sampler(), Data(train, train, test, ("a", "b")), classifier_steps=30)
        numbers.append(sample_numbers(about, drawn))
    usual, other = numbers
    for ending in ("", "/classifier"):
        for name in ("precision", "recall", "coverage"):
            assert usual[f"{name}{ending}"] == usual[f"real_vs_real/{name}{ending}"] == 1
        assert usual[f"density{ending}"] == pytest.approx(1, abs=0.15)
    assert (usual["share/a"], usual["share/b"], usual["nearest_train_ratio"]) == (0.75, 0.25, 1)
    assert usual.pop("classifier_accuracy") == 1
    assert other.pop("classifier_accuracy") == 0
    assert usual == other


# --- classes and anomalies -----------------------------------------------------------------------------------


class Corner:
    """The latent point of a picture is what its first two pixels say."""

    latent, can, objective = 2, frozenset({"latents", "plane"}), "other"

    def encode(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return x.flatten(1)[:, :2]


def test_neighbours_are_asked_for_the_labels_of_training_and_judged_by_those_of_test() -> None:
    x = torch.zeros(60, 1, 2, 2, dtype=torch.uint8)
    label = torch.arange(60) % 3
    x[label == 1, 0, 0, 0], x[label == 2, 0, 0, 1] = 255, 255
    train = ImageSet(x, label)
    for turn, accuracy in ((0, 1.0), (1, 0.0)):
        test = ImageSet(x, (label + turn) % 3)
        about = subject(Corner(), Data(train, train, test, ("a", "b", "c")))
        found = taken(about, "knn_accuracy", "linear_accuracy")
        assert found["knn_accuracy"] == found["linear_accuracy"] == accuracy
        expected = np.zeros((3, 3), int)
        expected[(np.arange(3) + turn) % 3, np.arange(3)] = 20  # rows are what it is, columns what it is taken for
        assert confusion(about).tolist() == expected.tolist()


def test_what_is_less_likely_than_the_test_pictures_is_an_anomaly() -> None:
    usual, other = Scores(neg_elbo=np.array([1.0, 2.0])), Scores(neg_elbo=np.array([3.0, 4.0]))
    assert flat("auroc", told_apart(usual, {"far": other}, lambda found: found.neg_elbo)) == {"auroc/far": 1.0}
    assert flat("auroc", told_apart(other, {"near": usual}, lambda found: found.neg_elbo)) == {"auroc/near": 0.0}


def test_a_latent_dimension_is_active_from_a_variance_of_a_hundredth_on() -> None:
    standard = torch.randn(1000, 3, dtype=torch.float64)
    standard = (standard - standard.mean(0)) / standard.std(0)
    assert count_active(standard * torch.tensor([0.0101, 0.0099, 1e-5]).double().sqrt()) == 1
    assert count_active(standard * torch.tensor([0.0101, 0.0102, 1.0]).double().sqrt() + 5) == 3
    assert count_active(standard[:1]) == 0


# --- conditional models --------------------------------------------------------------------------------------


def conditional_vae(**keys: Any) -> VAE:
    """Its decoder paints class c as c/4, and nothing else."""
    torch.manual_seed(0)
    spec = DataSpec((1, 1, 2), ("a", "b", "c"))
    keys = {"likelihood": {"name": "gaussian", "learn_sigma": False}, "conditional": True, **keys}
    model = vae(spec, **keys)
    model.decoder.forward = lambda z, c: (c.argmax(1) / 4)[:, None, None, None].expand(-1, 1, 1, 2)  # type: ignore[method-assign,assignment]
    return model.eval()


@torch.no_grad()
def test_labels_stay_with_their_draws() -> None:
    model, label = conditional_vae(), torch.tensor([2, 0, 0, 1, 2])
    x = (label / 4)[:, None, None, None].expand(-1, 1, 1, 2)
    drawn = model.importance(x, label, 4)
    best = -2 * (math.log(0.1) + 0.5 * math.log(2 * math.pi))
    assert torch.allclose(drawn.log_likelihood, torch.tensor(best), atol=1e-4)
    error, _ = error_and_kl(model, Batch(x, label), draws=3)
    assert error == pytest.approx(0, abs=1e-10)
    assert torch.equal(model.decode(torch.randn(5, 2), label), x)
    assert torch.equal(model.sample(7)[:, 0, 0, 0], torch.tensor([0, 1, 2, 0, 1, 2, 0]) / 4)


@torch.no_grad()
def test_a_mixture_gives_every_class_the_weights_of_its_own_pictures() -> None:
    model = conditional_vae(prior={"name": "mixture", "components": 3})
    centres = torch.tensor([[4.0, 0.0], [0.0, 4.0], [-4.0, -4.0]])
    narrow = torch.full((1, 2), -4.0)
    model.encoder.forward = lambda x, c: c  # type: ignore[method-assign,assignment]
    model.posterior.forward = lambda c: torch.cat([c @ centres, narrow.expand(len(c), 2)], dim=1)  # type: ignore[method-assign,assignment]
    label = torch.randint(3, (90,))
    model.conclude(Batch(torch.rand(90, 1, 1, 2), label))
    assert model.prior.fitted  # type: ignore[union-attr]
    told = torch.tensor([2, 0, 1, 1] * 50)
    drawn = model.sample_latent(200, label=told)
    assert float(((drawn - centres[told]).norm(dim=1) < 1).double().mean()) > 0.95  # but for the defensive share
    z = torch.stack([centres[told]] * 3)
    right = model.prior.log_prob(z, given(label=told))
    assert (right > model.prior.log_prob(z, given(label=(told + 1) % 3)) + 2).all()


def test_the_weights_of_a_class_do_not_follow_the_order_of_the_draws() -> None:
    torch.manual_seed(0)
    label = torch.randint(2, (200,))
    z = torch.randn(200, 2) * 0.3 + torch.where(label == 0, -3.0, 3.0)[:, None]
    prior = MixturePrior(latent(2, classes=2), components=2)
    prior.fit(z, label)
    for index, side in ((0, -3.0), (1, 3.0)):
        mean = prior.sample(500, given(label=torch.full((500,), index))).mean(0)
        assert torch.allclose(mean, torch.full((2,), side), atol=0.4)


# --- digits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [784, 27_648])
def test_all_pairs_under_a_narrow_gaussian_keep_their_digits(size: int) -> None:
    torch.manual_seed(0)
    x = torch.rand(20, size)
    raw = x[:10] + 0.01 * torch.randn(10, size)
    likelihood = Gaussian(DataSpec((size,)), sigma=0.01, learn_sigma=False)
    expected = torch.stack([likelihood.log_prob(x, row.expand_as(x)) for row in raw], dim=1)
    assert torch.allclose(likelihood.pairs(x, raw), expected, rtol=2e-6, atol=0.01)


def test_narrow_pseudo_posteriors_keep_their_digits() -> None:
    torch.manual_seed(0)
    mean, log_variance = 3 * torch.randn(20, 8).double(), torch.full((20, 8), 2 * math.log(1e-3)).double()
    z = mean + 1e-3 * torch.randn(20, 8).double()
    components = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(z[:, None]).sum(2)
    expected = components.logsumexp(1) - math.log(20)
    pseudo = torch.cat([mean, log_variance], dim=1)
    assert torch.allclose(VampPrior(latent(8), pseudo_inputs=20).log_prob(z, given(pseudo)), expected, atol=1e-5)
    rounded = torch.distributions.Normal(mean.float(), torch.tensor(1e-3)).log_prob(z.float()[:, None]).sum(2).logsumexp(1)
    found = VampPrior(latent(8), pseudo_inputs=20).log_prob(z.float(), given(pseudo.float()))
    assert torch.allclose(found, rounded - math.log(20), atol=0.01)


# --- tiny and other sets -------------------------------------------------------------------------------------


def test_one_picture_of_each_class_is_enough_to_draw(tmp_path: Path) -> None:
    data = Glyphs(Path(), count=10, validation=10, test=10, size=8)
    model = vae(data.spec).eval()
    folder = RunFolder.create("test", str(tmp_path / "run"))
    about = subject(model, data, num_samples=20)
    about.history = [{"step": 1, "loss": 1.0, "heldout/loss": 1.0}]
    with torch.no_grad():
        draw(about, folder, pytest.fail)
    assert (tmp_path / "run" / "figures" / "averages.png").exists()


@pytest.mark.parametrize("draw", [Glyphs, DrawnFruit])
def test_another_seed_draws_other_pictures_in_every_part(draw: Any) -> None:
    one, again, other = (draw(Path(), count=12, validation=10, test=10, size=16, seed=seed) for seed in (3, 3, 4))
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(one, part).x, getattr(again, part).x)
        seen = {x.numpy().tobytes() for x in getattr(one, part).x}
        assert not any(x.numpy().tobytes() in seen for x in getattr(other, part).x)
