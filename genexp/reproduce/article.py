"""The article's case studies and the numbers it gives of them.

Source: Likelihood-based Generative Models: VAEs and NFs (seminar report, 2025).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from genexp.runs.records import Number

ARTICLE = "Likelihood-based Generative Models: VAEs and NFs (seminar report, 2025)"


@dataclass(frozen=True)
class Claim:
    """A number of the article. `measure` is our metric of the same quantity: a name, or names joined by + for their sum."""

    measure: str
    value: float | str
    remark: str


@dataclass(frozen=True)
class Study:
    """A case study: what it is, the article's figures of it by our name, its claims, and our numbers worth showing beside."""

    name: str
    title: str
    text: str
    figures: Mapping[str, str]
    claims: tuple[Claim, ...]
    measures: tuple[str, ...]


STUDIES = (
    Study(
        "double_gaussian",
        "Double Gaussian",
        "Two Gaussian peaks by a discrete flow. No continuous bijection tears the base apart: a bridge of mass remains between "
        "the peaks. bridge_mass is to be held against the exact one.",
        {"samples": "Figure 5"},
        (Claim("nll", 2.62, "the last batch's loss, within 0.04"),),
        ("nll", "kl", "bridge_mass", "mass"),
    ),
    Study(
        "qr",
        "QR code",
        "The black area of a QR code as a uniform density, by flow matching. The article came to it by two attempts that failed: "
        "a discrete flow, and flow matching without Fourier features.",
        {"samples": "Figure 6"},
        (
            Claim("scannable", 1, "its final picture is read by zxing-cpp"),
            Claim("decoded_opencv", "not read", "and not by OpenCV's reader"),
            Claim("seconds_train", 622, "on the article's GPU"),
        ),
        ("scannable", "decoded_opencv", "leak", "module_tv", "nll", "excess_loss", "seconds_train"),
    ),
    Study(
        "mnist",
        "Digits on a plane",
        "MNIST by a variational autoencoder with two latent dimensions, so that all of the latent space can be seen. neg_elbo, "
        "iwae_nll and quadrature_nll are three different numbers, and not to be compared with each other.",
        {"latent": "Figure 1", "interpolation": "Figure 2", "samples": "Figure 3"},
        (Claim("neg_elbo", 138.68, "on the test set after 50 epochs; 138.27 at best"),),
        ("neg_elbo", "iwae_nll", "quadrature_nll", "knn_accuracy", "coverage", "seconds_train"),
    ),
    Study(
        "fruit_vae",
        "Fruit",
        "Photographs of apples, bananas and kiwis by a variational autoencoder, on the objective squared error + ½ KL. The "
        "article's thirty test pictures have near-identical neighbours in training.",
        {"interpolation": "Figure 7"},
        (Claim("article_loss", 89.96, "on the test pictures; 93.74 in training"),),
        ("article_loss", "squared_error", "kl", "coverage", "seconds_train"),
    ),
    Study(
        "fruit_iaf",
        "Fruit, with a flow in the posterior",
        "The same photographs with an inverse autoregressive flow in the posterior. The article's new pictures were sixteen "
        "near-identical brown discs: it pushed noise through the posterior's flow. Ours come from the prior.",
        {"interpolation": "Figure 7, by this model", "prior_samples": "new pictures"},
        (Claim("squared_error+kl", 100, "about, in training, at the end"),),
        ("squared_error+kl", "article_loss", "bits_per_dim", "coverage", "seconds_train"),
    ),
)


def value_of(measure: str, metrics: Mapping[str, Number]) -> Number:
    """A metric, or the sum of some; None where it is not there."""
    found = [metrics.get(name) for name in measure.split("+")]
    if len(found) == 1:
        return found[0]
    return None if any(not isinstance(value, int | float) for value in found) else sum(found)  # type: ignore[arg-type]
