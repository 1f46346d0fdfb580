"""What the numbers see that samples are judged by."""

from genexp.claims.records import Claim, Study
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
)
