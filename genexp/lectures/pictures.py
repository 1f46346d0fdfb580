"""Flows on pictures, and what a likelihood can tell."""

from genexp.claims.records import Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Flows on pictures"
SHOWN = (
    shown(
        Study(
            "pixel_flow",
            "One network for all pixels",
            "Each pixel through its own distribution function, given those before it: exact bits per dimension, beside "
            "tables of counts.",
            {"prior_samples": "samples", "told_apart": "scores of other pictures"},
            (
                Claim("bits_per_dim", "below the count tables", "bits_per_dim_simple"),
                Claim("likelier/black", 1, "of black pictures"),
            ),
            ("bits_per_dim", "bits_per_dim_simple/neighbours/5", "likelier/black", "auroc_nll/black", "auroc_typicality/black"),
            LECTURES,
        ),
        "digits_pixel_flow",
        seconds=150,
        quick=steps(300),
        quick_seconds=25,
    ),
    shown(
        Study(
            "digits_glow",
            "Several scales",
            "A flow at two scales of squeezed pictures, whose noise can be drawn at a temperature.",
            {"temperatures": "the same noise times T", "scales": "one scale drawn anew"},
            (Claim("bits_per_dim_iw8", "below bits_per_dim", "eight draws inside the logarithm"),),
            ("bits_per_dim", "bits_per_dim_iw8", "nll"),
            LECTURES,
        ),
        "digits_glow",
        seconds=200,
        quick=steps(120),
        quick_seconds=25,
    ),
)
