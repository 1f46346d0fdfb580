"""The article's objective for photographs, as a number of any model with an approximate posterior."""

import math

from genexp.machine.device import all_digits
from genexp.measures.probabilistic_pca import fit_ppca
from genexp.measures.reconstruction import DATA, MODEL, MOST, reconstruction
from genexp.measures.record import Value, measure
from genexp.subject import Subject

NOISE = 0.25  # σ², for which squared error + ½ KL = −2σ²·ELBO + constant


def objective(squared_error: float, kl: float) -> float:
    """Squared error + ½ KL(q ‖ N(0, I)), whatever the model was trained on and whatever its prior."""
    return squared_error + 0.5 * kl


@measure(
    "article_loss",
    "squared error + ½ KL(q ‖ N(0, I)), the article's objective",
    better="lower",
    headline=70,
    model=MODEL,
    data=DATA,
)
def article_loss(subject: Subject) -> Value | None:
    """Beside what the best linear VAE of as many latent dimensions gets."""
    found = reconstruction(subject)
    return None if found is None else Value(objective(found.squared_error, found.kl), baseline=best_linear(subject))


def best_linear(subject: Subject) -> float:
    """The objective of the best linear VAE, on the test pictures; fitted to 8,000 training pictures at most."""
    train, test = subject.data.train.few(4 * MOST).batch().x.flatten(1), subject.test.x.flatten(1)
    with all_digits(subject.device):
        linear = fit_ppca(train, subject.model.latent, noise=NOISE)
        mean = float(linear.log_prob(test).mean())
    return -2 * NOISE * mean - NOISE * test.shape[1] * math.log(2 * math.pi * NOISE)
