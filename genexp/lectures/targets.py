"""Densities without data, and Markov chains."""

from genexp.claims.records import QUICK_EVALUATION, Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Densities without data"
SHOWN = (
    shown(
        Study(
            "double_well",
            "Reverse KL seeks a mode",
            "A double well learnt without an example: the flow has one of its wells, and its own samples cannot tell.",
            {"modes": "what was found", "samples": "samples over contours"},
            (
                Claim("modes_found", 1, "of two"),
                Claim("log_z_bias", -0.1692, "ln 0.8443, the mass of the well it has"),
            ),
            ("modes_found", "log_z_bias", "ess", "ess_forward", "reverse_kl"),
            LECTURES,
        ),
        "double_well",
        seconds=25,
        quick=steps(500),
        quick_seconds=15,
    ),
    shown(
        Study(
            "forward_reverse_kl",
            "One covers, one chooses",
            "One Gaussian on two peaks that move apart. The forward KL tends to ½ ln(1+m²) − ln 2, the reverse one to ln 2.",
            {"forward_reverse_kl": "both optima against the distance"},
            (
                Claim("excess_forward_kl", 0, "above the closed form"),
                Claim("excess_reverse_kl", 0, "likewise"),
            ),
            ("excess_forward_kl", "excess_reverse_kl"),
            LECTURES,
        ),
        "forward_reverse_kl",
        seconds=15,
        quick=steps(600),
        quick_seconds=10,
    ),
    shown(
        Study(
            "funnel_flow",
            "A flow without data finds the integral",
            "Neal's funnel in ten dimensions: ln Z by weighted samples of a flow that was trained on the density alone.",
            {"samples": "samples"},
            (Claim("log_z", 0, "exactly"),),
            ("log_z", "log_z_error", "ess", "ess_forward"),
            LECTURES,
        ),
        "funnel_flow",
        seconds=40,
        quick=steps(400),
        quick_seconds=20,
    ),
    shown(
        Study(
            "langevin",
            "Langevin steps of finite size",
            "x ← x − h∇E + √(2h) ξ on a Gaussian of unit variance: its stationary variance is 1/(1 − h/2), with h = ½.",
            {"trails": "where the chains go"},
            (Claim("stationary_variance", 1.3333, "1/(1 − h/2)"),),
            ("stationary_variance", "effective_samples", "r_hat"),
            LECTURES,
        ),
        "langevin",
        seconds=15,
        quick=QUICK_EVALUATION,
        quick_seconds=12,
    ),
    shown(
        Study(
            "hmc",
            "Hamiltonian Monte Carlo",
            "The same Gaussian: the acceptance step makes the variance exact.",
            {"trails": "where the chains go"},
            (Claim("stationary_variance", 1, "exactly"),),
            ("stationary_variance", "acceptance", "effective_samples", "ess_per_gradient", "r_hat"),
            LECTURES,
        ),
        "hmc",
        seconds=15,
        quick=QUICK_EVALUATION,
        quick_seconds=12,
    ),
    shown(
        Study(
            "phi4",
            "A lattice field",
            "φ⁴ on 8×8 sites by an equivariant continuous flow, from its action alone, beside a long HMC.",
            {"two_point": "the two-point function", "chain_history": "the magnetisation along a chain"},
            (Claim("ess", 0.66, "published at 32×32, on a GPU"),),
            ("ess", "acceptance", "magnetisation/sigmas"),
            LECTURES,
        ),
        "phi4_continuous",
        seconds=200,
        quick=None,
    ),
)
