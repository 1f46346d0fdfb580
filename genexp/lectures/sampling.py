"""From random bits to Gaussian mixtures."""

from genexp.claims.records import QUICK_EVALUATION, Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Sampling"
SHOWN = (
    shown(
        Study(
            "randu",
            "RANDU",
            "A linear congruential generator that is even in one dimension and in two, and in three lies on planes.",
            {"cube": "successive triples"},
            (Claim("planes/3d", 15, "planes that hold all triples"),),
            ("planes/3d", "chi2/1d/p", "chi2/2d/p", "spectral/3d"),
            LECTURES,
        ),
        "randu",
        seconds=12,
        quick=(),
        quick_seconds=12,
    ),
    shown(
        Study(
            "box_muller",
            "From the square to the bell",
            "Two uniform numbers make two Gaussian ones. What the bits of a uniform number allow bounds the largest: "
            "√(2·32·ln 2).",
            {"steps": "square, disc, bell"},
            (Claim("largest/possible", 6.66, "with 32 bits"),),
            ("largest/possible", "largest", "transformed/ks/p", "nanoseconds", "nanoseconds/numpy"),
            LECTURES,
        ),
        "box_muller",
        seconds=15,
        quick=(),
        quick_seconds=15,
    ),
    shown(
        Study(
            "gmm_em",
            "Expectation maximisation",
            "A mixture of two Gaussians from 65,536 points: no learning rate, three passes. The divergence that is "
            "left is about p/2N nats, of p free parameters and N points.",
            {"components": "the components"},
            (Claim("kl", 0.000084, "p/2N, 11 parameters, 65,536 points"),),
            ("kl", "nll", "bic"),
            LECTURES,
        ),
        "gmm_em",
        seconds=15,
        quick=QUICK_EVALUATION,
        quick_seconds=10,
    ),
    shown(
        Study(
            "gmm_overfit",
            "As many Gaussians as examples",
            "150 components on 300 numbers of five: the likelihood of the training set keeps growing, that of held-out "
            "numbers falls.",
            {"density": "the fitted density"},
            (Claim("nll", "above its floor", "and train_nll below it"),),
            ("nll", "train_nll", "kl", "bic"),
            LECTURES,
        ),
        "gmm_overfit",
        seconds=15,
        quick=steps(100),
        quick_seconds=10,
    ),
)
