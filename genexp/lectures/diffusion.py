"""Flow matching and diffusion."""

from genexp.claims.records import Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Diffusion"
SHOWN = (
    shown(
        Study(
            "ode_beside_sde",
            "ODE beside SDE",
            "The same network, drawn from by every sampler: along the ODE Heun's error falls with the square of the "
            "number of steps, all others' with the number; on Gaussian data it is known in closed form.",
            {"ode_beside_sde": "distance against evaluations", "paths": "straight and trembling paths"},
            (Claim("wasserstein_at_20/heun", "within 1.5 × real vs real", "at 20 evaluations"),),
            ("wasserstein_at_20/heun", "wasserstein_at_20/ancestral", "neg_elbo", "wasserstein"),
            LECTURES,
        ),
        "ode_beside_sde",
        seconds=200,
        quick=steps(1500),
        quick_seconds=60,
    ),
    shown(
        Study(
            "guidance",
            "Guidance drifts off",
            "p(x) p(y|x)ʷ is promised; for w other than 0 and 1 no diffusion has the scores that are added up, however "
            "exact they are.",
            {"guidance": "guided samples over the promised contours"},
            (
                Claim("guidance_kl/1", 0, "exactly"),
                Claim("guidance_kl/4", "above 1", "with exact scores, too"),
            ),
            ("guidance_kl/1", "guidance_kl/4", "neg_elbo"),
            LECTURES,
        ),
        "guidance",
        seconds=150,
        quick=steps(1500),
        quick_seconds=40,
    ),
)
