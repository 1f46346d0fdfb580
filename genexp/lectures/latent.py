"""Latent variables."""

from genexp.claims.records import Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Latent variables"
GLYPHS = ("dataset=glyphs",)
SHOWN = (
    shown(
        Study(
            "closed_form_elbo",
            "The bound, in closed form",
            "A Gaussian VAE without hidden layers: Monte Carlo against the formula, and the importance-weighted bound "
            "between them.",
            {"estimates": "estimates against k", "posteriors": "the encoder's ellipses over the exact ones"},
            (Claim("neg_elbo", "closed_neg_elbo", "within its error"),),
            ("neg_elbo", "closed_neg_elbo", "closed_nll", "quadrature_nll", "iwae_nll"),
            LECTURES,
        ),
        "closed_form_elbo",
        seconds=15,
        quick=(),
        quick_seconds=15,
    ),
    shown(
        Study(
            "linear_vae",
            "A linear VAE is probabilistic PCA",
            "Its optimum is known: ELBO, directions, and which of its units collapse.",
            {"spectrum": "eigenvalues and active units"},
            (Claim("pca_gap", 0, "nats above the optimum"),),
            ("pca_gap", "collapsed_units", "pca_angle"),
            LECTURES,
        ),
        "linear_vae",
        seconds=120,
        quick=steps(1500),
        quick_seconds=25,
    ),
    shown(
        Study(
            "autoencoder",
            "An autoencoder has no prior",
            "Decoded: codes of data, a Gaussian fitted to the codes, and N(0, I).",
            {"sampling": "what sampling gives"},
            (
                Claim("recall", "far below real vs real", "of pictures decoded from N(0, I)"),
                Claim("share_variation", "far above real vs real", "a few kinds of digits are all that comes"),
            ),
            ("recall", "share_variation", "coverage", "heldout_loss"),
            LECTURES,
        ),
        "autoencoder",
        seconds=60,
        quick=steps(300),
        quick_seconds=20,
        needs="mnist",
        stand_in=GLYPHS,
    ),
    shown(
        Study(
            "posterior_collapse",
            "Posterior collapse",
            "Thirty-two latents and a heavy KL term: most of them say nothing.",
            {"units": "the KL of each latent"},
            (Claim("collapsed_units", "more than half", "of 32, at β = 4"),),
            ("collapsed_units", "active_units", "neg_elbo", "iwae_nll"),
            LECTURES,
        ),
        "posterior_collapse",
        seconds=60,
        quick=steps(1500),
        quick_seconds=30,
    ),
)
