"""Autoregressive models."""

from genexp.claims.records import Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Autoregressive models"
SHOWN = (
    shown(
        Study(
            "digits_pixelcnn",
            "Pixel after pixel",
            "Gated masked convolutions in two stacks, beside a table of counts of neighbours.",
            {"receptive_field": "what one pixel sees", "completions": "lower halves, completed"},
            (Claim("bits_per_dim", "below the count table", "which is its baseline"),),
            ("bits_per_dim", "nll", "nll_train", "seconds_sample"),
            LECTURES,
        ),
        "digits_pixelcnn",
        seconds=300,
        quick=steps(150),
        quick_seconds=40,
    ),
    shown(
        Study(
            "text_transformer",
            "The next character",
            "A causal transformer on a text, beside a table of counts with back-off and beside xz.",
            {"text_nats": "nats of each character"},
            (Claim("bits_per_character", "below both", "after ten minutes"),),
            ("bits_per_character", "bits_per_character/counts", "bits_per_character/xz"),
            LECTURES,
        ),
        "text_transformer",
        seconds=700,
        quick=steps(60, "evaluation.num_points=50"),
        quick_seconds=40,
    ),
)
