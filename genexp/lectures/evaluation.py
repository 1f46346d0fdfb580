"""What the numbers see that samples are judged by, and how far one density is from another."""

from genexp.claims.records import QUICK_EVALUATION, Claim, Study
from genexp.lectures import LECTURES, shown

TITLE = "Judging samples"
FIGURES = {"lamps": "which number notices which failure, and with how many samples"}
QUICK = ("model.repetitions=40", "model.failing=10", "model.rungs=2")
SHOWN = (
    shown(
        Study(
            "metric_trial",
            "The metrics on trial",
            "Samplers that fail in known ways, and every number that samples are judged by. The threshold comes from the "
            "truth itself, at 5 % false alarms. Copies of training examples are samples of the truth: only what looks for the "
            "nearest training example notices them.",
            FIGURES,
            (
                Claim("noticed_by/copies", 2, "by the distance to the nearest training example alone"),
                Claim("missed/precision", "lost_mode among them", "what is left out is no business of precision"),
                Claim("missed/frechet", "sharpened among them", "mean and covariance hardly change"),
                Claim("false_alarms/coverage", 0.05, "by construction"),
            ),
            ("noticed_by/copies", "noticed/memorisation", "missed/precision", "missed/frechet", "noticed/sample_nll"),
            LECTURES,
        ),
        "metric_trial",
        seconds=240,
        quick=QUICK,
        quick_seconds=45,
    ),
    shown(
        Study(
            "metric_trial_digits",
            "The same on handwritten digits",
            "Pictures, in principal components of the pixels and in the features of a small classifier. A sampler that is too "
            "cautious, or blurs, looks better than the truth by density.",
            FIGURES,
            (
                Claim("noticed_by/copies", 2, "by the distance to the nearest training picture alone"),
                Claim("noticed_by/outliers", 0, "of one picture in a hundred; at most by the Fréchet distance of the pixels"),
                Claim("praised/density", "sharpened among them", "likely pictures lie where others are dense"),
            ),
            ("noticed_by/copies", "noticed_by/outliers", "praised/density", "praised/density/classifier", "noticed/coverage"),
            LECTURES,
        ),
        "metric_trial",
        "dataset=digits",
        seconds=200,
        quick=QUICK,
        quick_seconds=40,
    ),
    shown(
        Study(
            "metric_trial_fruit",
            "The same on fruit",
            "Drawn fruit of 32 pixels a side.",
            FIGURES,
            (Claim("noticed_by/copies", 2, "by the distance to the nearest training picture alone"),),
            ("noticed_by/copies", "noticed_by/wrong_weight", "noticed/coverage", "noticed/frechet/classifier"),
            LECTURES,
        ),
        "metric_trial",
        "dataset=drawn_fruit",
        "dataset.size=32",
        seconds=300,
        quick=QUICK,
        quick_seconds=60,
    ),
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
