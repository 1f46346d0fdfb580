"""Energies."""

from genexp.claims.records import Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Energies"
SHOWN = (
    shown(
        Study(
            "energy_landscape",
            "What short chains hide",
            "An energy learnt by exact maximum likelihood, its integral by quadrature. How far samples are from the "
            "model's own density is another number than how far the model is from the data: twenty transitions from "
            "noise are not enough.",
            {
                "short_runs": "chains against their own density",
                "pulled": "what is pulled down and pushed up",
                "density": "data and model",
            },
            (
                Claim("kl", 0.03, "at most, in two minutes"),
                Claim("chain_kl/short", "above chain_kl", "of 20 transitions from noise"),
            ),
            ("kl", "chain_kl", "chain_kl/short", "log_partition", "log_partition/back", "wasserstein"),
            LECTURES,
        ),
        "energy_landscape",
        seconds=150,
        quick=steps(200),
        quick_seconds=30,
    ),
)
