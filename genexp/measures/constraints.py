"""For which of the five constraints on a generative model a run has no number, and why."""

from collections.abc import Mapping
from typing import Any

from genexp.measures.record import CONSTRAINTS, Measure, Metric, measures
from genexp.subject import Subject

NO_LIKELIHOOD = "the model gives neither ln p(x) nor a bound of it"
WITHOUT: dict[str, str] = {  # what is said where a need is not met: of the model, and of the data
    **dict.fromkeys(("exact", "estimate", "dequantised", "discrete", "autoregressive", "diffusion", "energy"), NO_LIKELIHOOD),
    **dict.fromkeys(("latents", "posterior", "pairs", "codes"), NO_LIKELIHOOD),
    "sample": "the model draws no samples",
    "drawn": "there are no examples: the data are given as a density",
    "examples": "there is no fixed set of training examples",
    "points": "the data are no points of space",
    "pictures": "the data are no pictures",
    "cells": "the data are not uniform over cells",
    "levels": "the data are no whole numbers with noise",
    "text": "the data are no text",
    "modes": "the modes of the data are not known",
    "log_density": "the density of the data is not known",
    "log_z": "the integral of the density, Z, is not known",
}


def missing(subject: Subject, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Constraint → what its measures lack, in a line."""
    found: dict[str, str] = {}
    for constraint in CONSTRAINTS:
        standing = [each for each in measures.all() if each.constraint == constraint]
        if any(metrics.get(each.called(subject.draw)) is not None for each in standing):
            continue
        tried = [each for each in standing if each.needs.met(subject.can, subject.knows, subject.objective)]
        found[constraint] = f"{tried[0].name} has no value here" if tried else lacking(nearest(standing, subject), subject)
    return found


def unmet(measure: Measure, subject: Subject) -> list[str]:
    """The needs of a measure that the subject does not meet."""
    pairs: list[tuple[str, Any]] = [(need, subject.can) for need in measure.needs.model]
    pairs += [(need, subject.knows) for need in measure.needs.data]
    return sorted(need for need, has in pairs if not any(word in has for word in need.split("|")))


def nearest(candidates: list[Measure], subject: Subject) -> Measure:
    """The one of whose needs the least share is not met; of equals the one that lacks fewest, and has most ways to meet them."""

    def distance(each: Measure) -> tuple[float, int, int]:
        lacks, needs = unmet(each, subject), len(each.needs.model) + len(each.needs.data)
        return len(lacks) / max(1, needs), len(lacks), -sum(need.count("|") for need in lacks)

    return min(candidates, key=distance)


def lacking(measure: Measure, subject: Subject) -> str:
    """Why there is none: its first need that is not met, in plain words."""
    need = next(iter(unmet(measure, subject)), None)
    if need is None:
        return f"{measure.name} is taken only of a model that is trained by it"
    return WITHOUT.get(need.partition("|")[0], f"{measure.name} needs “{need.replace('|', '” or “')}”")
