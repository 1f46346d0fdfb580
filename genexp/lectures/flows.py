"""Flows on numbers and on points in the plane."""

from genexp.claims.records import QUICK_EVALUATION, Claim, Study, steps
from genexp.lectures import LECTURES, shown

TITLE = "Flows"
SHOWN = (
    shown(
        Study(
            "change_of_variables",
            "The change of variables",
            "x = exp z of z uniform on [0, 2] has the density 1/(2x) on [1, e²], and the entropy 1 + ln 2.",
            {"change_of_variables": "base, function, density"},
            (
                Claim("density_at/2", 0.25, "1/(2x) at x = 2"),
                Claim("entropy", 1.6931, "1 + ln 2"),
            ),
            ("density_at/2", "entropy", "kl"),
            LECTURES,
        ),
        "change_of_variables",
        seconds=8,
        quick=QUICK_EVALUATION,
        quick_seconds=8,
    ),
    shown(
        Study(
            "linear_flow",
            "One linear map is one Gaussian",
            "The best that a linear flow can do is the Gaussian of the data's mean and covariance; its divergence is "
            "known in closed form.",
            {"density": "data and model"},
            (Claim("kl", 0.72355, "the best Gaussian's"),),
            ("kl", "nll"),
            LECTURES,
        ),
        "double_gaussian",
        "model=linear_flow",
        "trainer.max_steps=1500",
        seconds=20,
        quick=steps(600),
        quick_seconds=12,
    ),
    shown(
        Study(
            "maf",
            "Masked autoregressive: the density is quick",
            "Each feature given those before it, of the data: one pass for a density, one pass for each feature of a sample.",
            {"density": "data and model"},
            (Claim("seconds_sample", "above seconds_density", "per thousand"),),
            ("seconds_density", "seconds_sample", "kl", "nll"),
            LECTURES,
        ),
        "double_gaussian",
        "model=maf",
        "trainer.max_steps=3000",
        seconds=40,
        quick=steps(1000),
        quick_seconds=10,
    ),
    shown(
        Study(
            "iaf",
            "Inverse autoregressive: the sample is quick",
            "The same map the other way round: of the noise.",
            {"density": "data and model"},
            (Claim("seconds_density", "above seconds_sample", "per thousand"),),
            ("seconds_density", "seconds_sample", "kl", "nll"),
            LECTURES,
        ),
        "double_gaussian",
        "model=iaf",
        "trainer.max_steps=3000",
        seconds=60,
        quick=steps(800),
        quick_seconds=25,
    ),
    shown(
        Study(
            "planar_layers",
            "Ten planar maps",
            "Each pushes the plane along one direction, across one line.",
            {"layers": "what each does to a grid"},
            (Claim("kl", "above 0", "ten planar maps are few"),),
            ("kl", "nll", "invertibility_error"),
            LECTURES,
        ),
        "planar_layers",
        seconds=40,
        quick=steps(1000),
        quick_seconds=10,
    ),
    shown(
        Study(
            "plane",
            "Holes and edges",
            "Rings by two spline couplings whose networks see Fourier features.",
            {"density": "data and model"},
            (Claim("kl", 0.005, "at most, in a minute"),),
            ("kl", "nll", "total_variation", "wasserstein"),
            LECTURES,
        ),
        "plane",
        seconds=70,
        quick=steps(1000),
        quick_seconds=15,
    ),
)
