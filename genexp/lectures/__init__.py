"""What the lectures claim, chapter by chapter, each with the run that shows it: one module for each chapter.

A chapter is its title and the pairs (study, case) in the order of the lecture.
"""

from genexp.claims.records import Case, Claim, Study, Way

LECTURES = "the lectures"


def shown(
    study: Study, experiment: str, *overrides: str, seconds: float, quick: tuple[str, ...] | None, quick_seconds: float = 0.0,
    needs: str | None = None, stand_in: tuple[str, ...] = (), remark: str = "",
) -> tuple[Study, Case]:  # fmt: skip
    """A claim and its run. `stand_in`: overrides that take embedded data where those it needs are not on disk."""
    embedded = Way(experiment, (*overrides, *stand_in)) if stand_in else None
    way = Way(experiment, overrides)
    return study, Case(study.name, study.name, "ours", way, seconds, quick, quick_seconds, needs, embedded, remark)


__all__ = ["LECTURES", "Case", "Claim", "Study", "Way", "shown"]
