"""The article's case studies and the numbers it gives of them.

Source: Likelihood-based Generative Models: VAEs and NFs (seminar report, 2025).
"""

from collections.abc import Mapping

from genexp.claims.records import Claim, Study
from genexp.folder.records import Number

ARTICLE = "Likelihood-based Generative Models: VAEs and NFs (seminar report, 2025)"


# What is a weighted sum of metrics. article_loss is squared error + ½ KL(q ‖ N(0, I)); the metric `kl_to_prior` would not do
# for the other half, as it is the divergence from the model's own prior.
FULL_KL = "2 article_loss − squared_error"
MEANING_OF_FULL_KL = "squared error + KL(q ‖ N(0, I)), what the article trained this model on"
DERIVED: Mapping[str, Mapping[str, float]] = {FULL_KL: {"article_loss": 2, "squared_error": -1}}

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
        ("article_loss", "squared_error", "kl_to_prior", "coverage", "seconds_train"),
    ),
    Study(
        "fruit_iaf",
        "Fruit, with a flow in the posterior",
        "The same photographs with an inverse autoregressive flow in the posterior. The article's new pictures were sixteen "
        "near-identical brown discs: it pushed noise through the posterior's flow. Ours come from the prior.",
        {"interpolation": "Figure 7, by this model", "prior_samples": "new pictures"},
        (Claim(FULL_KL, 100, "about, in training, at the end"),),
        (FULL_KL, "article_loss", "bits_per_dim", "coverage", "seconds_train"),
    ),
)


def value_of(measure: str, metrics: Mapping[str, Number]) -> Number:
    """A metric, or what is derived from some; None where it is not there."""
    if measure not in DERIVED:
        return metrics.get(measure)
    total = 0.0
    for name, weight in DERIVED[measure].items():
        value = metrics.get(name)
        if not isinstance(value, int | float):
            return None
        total += weight * value
    return total
