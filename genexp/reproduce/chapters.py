"""The chapters in their order: those of the lectures, and the article."""

from dataclasses import dataclass

from genexp.article import cases, numbers
from genexp.claims.records import Case, Study
from genexp.lectures import autoregressive, diffusion, energy, evaluation_divergences, flows, latent, pictures, sampling, targets


@dataclass(frozen=True)
class Contents:
    """A chapter: its title, what it shows, and the runs that show it."""

    title: str
    studies: tuple[Study, ...]
    cases: tuple[Case, ...]


CHAPTERS = {
    name: Contents(module.TITLE, tuple(study for study, _ in module.SHOWN), tuple(case for _, case in module.SHOWN))
    for name, module in {
        "sampling": sampling,
        "flows": flows,
        "pictures": pictures,
        "targets": targets,
        "latent": latent,
        "autoregressive": autoregressive,
        "energy": energy,
        "diffusion": diffusion,
        "evaluation": evaluation_divergences,
    }.items()
}
CHAPTERS["article"] = Contents("The article's case studies", numbers.STUDIES, cases.CASES)
STUDIES = tuple(study for chapter in CHAPTERS.values() for study in chapter.studies)
CASES = tuple(case for chapter in CHAPTERS.values() for case in chapter.cases)
