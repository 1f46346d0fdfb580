"""How far one density is from another, and what samples tell of it."""

from genexp.claims.records import QUICK_EVALUATION, Claim, Study
from genexp.lectures import LECTURES, shown

TITLE = "Judging samples"
SHOWN = (
    shown(
        Study(
            "divergences",
            "Every divergence, as a density slides, widens, loses a mode",
            "Two peaks, and a copy that loses one of them: of the share a that is left the forward KL is −½ ln a − ln 2, without "
            "a bound; the reverse KL stops at ln 2, the total variation at ½, W₁ at half of the way between the peaks; and the "
            "Fisher divergence hardly sees it. From samples alone, W₁ and W₂ are no estimates in more than a few dimensions; "
            "the kernel's discrepancy has no bias in any.",
            {
                "altered": "densities above, divergences below",
                "estimates_by_dimension": "estimates over exact values, against the dimension",
                "estimates_by_size": "and against the number of samples",
            },
            (
                Claim("divergence/lose/forward_kl", 6.2146, "−½ ln 10⁻⁶ − ln 2"),
                Claim("divergence/lose/reverse_kl", 0.6931, "ln 2"),
                Claim("divergence/lose/tv", 0.5, "the mass of the mode"),
                Claim("divergence/lose/w1", 3, "half of the mass, 6 away"),
                Claim("divergence_bias/mmd2/64d", 0, "without bias"),
            ),
            (
                "divergence/lose/forward_kl",
                "divergence/lose/reverse_kl",
                "divergence/lose/fisher",
                "divergence_estimate/w1/64d",
                "divergence_estimate/forward_kl/64d",
                "divergence_reach/forward_kl",
                "divergence_reach/w1",
                "divergence_reach/mmd2",
            ),
            LECTURES,
        ),
        "divergences",
        seconds=45,
        quick=(*QUICK_EVALUATION, "model.repeats=4", "model.sizes=[32,128]", "model.dimensions=[1,2,8,64]"),
        quick_seconds=12,
    ),
)
