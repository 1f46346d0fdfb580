"""The picture of out-of-distribution detection by a likelihood."""

from matplotlib.figure import Figure

from genexp.figures import anomalies as figures
from genexp.measures import anomalies
from genexp.measures.record import picture
from genexp.measures.typicality import DATA, MODEL, auroc_likelihood_ratio, auroc_nll, auroc_typicality, judged
from genexp.pictures.latent import array, spread
from genexp.subject import Subject

SHOWN = 8  # pictures of each set


@picture(
    "told_apart",
    "Other pictures by their likelihood, by typicality, and against a background model",
    lead=4,
    model=MODEL,
    data=DATA,
)
def told_apart(subject: Subject) -> Figure | None:
    """Where others were asked for."""
    if not subject.settings.evaluation.anomalies:
        return None
    found, parts = judged(subject), {"test": subject.test_part, **anomalies.others(subject)}
    few = {name: array(part[spread(part, SHOWN)].batch().x) for name, part in parts.items()}
    by = {
        "likelihood: −ln p(x)": (auroc_nll, "likelihood"),
        "typicality: |−ln p(x) − mean|": (auroc_typicality, "typicality"),
        "likelihood ratio: ln b(x) − ln p(x)": (auroc_likelihood_ratio, "ratio"),
    }
    scores = {title: {name: getattr(each, score) for name, each in found.items()} for title, (_, score) in by.items()}
    aurocs = {title: {name: float(value.value) for name, value in take(subject).items()} for title, (take, _) in by.items()}  # type: ignore[arg-type]
    return figures.told_apart(few, scores, aurocs, found["test"].typical)
