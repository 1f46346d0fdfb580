"""What a run leaves of its model: numbers, samples, pictures, and the words that say what they are."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from genexp.data.text import joined
from genexp.folder.run_folder import RunFolder
from genexp.measures.classes import confusion
from genexp.measures.latents import drawn_latents, test_latents
from genexp.measures.take import Say, Taken, attempt, take
from genexp.measures.underway import Underway
from genexp.pictures.draw import draw
from genexp.subject import Subject


@dataclass(frozen=True)
class Results:
    """Numbers with their words, and the arrays of samples.npz."""

    taken: Taken
    arrays: dict[str, np.ndarray]


def measure(subject: Subject, folder: RunFolder, say: Say) -> Results:
    """All that is computed; of what fails `say` is told."""
    folder.say("measuring")
    began = time.perf_counter()
    results = Results(take(subject, say, folder.say, not folder.silent), arrays(subject, folder, say))
    folder.update(seconds_measuring=round(time.perf_counter() - began, 3))
    return results


def keep(results: Results, subject: Subject, folder: RunFolder, say: Say) -> None:
    """Write it all into `folder`, with its pictures where these are wanted."""
    from genexp.pictures.samples import samples_picture  # not before: training needs nothing that draws

    picture = attempt("the picture of the samples", partial(samples_picture, subject), say)
    folder.save_samples(results.arrays, picture)
    if "text" in subject.knows:
        folder.save_text(joined(subject.data.spec, subject.samples))
    folder.write_metrics(results.taken.metrics)
    words = {"measures": results.taken.words, "pictures": {}}
    if subject.settings.figures.enabled:
        folder.say("drawing")
        began = time.perf_counter()
        words["pictures"] = draw(subject, folder, say)
        folder.update(seconds_drawing=round(time.perf_counter() - began, 3))
    folder.update(words=words)


def arrays(subject: Subject, folder: RunFolder, say: Say) -> dict[str, np.ndarray]:
    """The samples and what they are held against, a table's in its own units; where test pictures lie in latent space; densities
    of few dimensions.
    """
    own = subject.data.units.own if "units" in subject.knows else Tensor.cpu
    wanted: dict[str, Callable[[], Any]] = {"samples": lambda: own(subject.samples)}
    if {"points", "drawn"} <= subject.knows:
        wanted["target"] = lambda: own(subject.target)
    if "latents" in subject.can and {"pictures", "examples"} <= subject.knows:
        wanted |= {"latent": lambda: test_latents(subject), "latent_label": lambda: subject.test_part.label}
        if "plane" in subject.can:
            wanted["latent_drawn"] = lambda: drawn_latents(subject)
        if "classes" in subject.knows:
            wanted["confusion"] = lambda: confusion(subject)
    found: dict[str, Any] = {}
    with Underway("keeping", len(wanted) + 1, folder.say, not folder.silent) as underway:
        for name, make in wanted.items():
            underway.now(name)
            found[name] = attempt(name, make, say)
        if {"box", "drawn"} <= subject.knows and "exact" in subject.can and subject.settings.figures.enabled:
            from genexp.pictures.densities import kept_density

            underway.now("the density")
            found |= attempt("the density", partial(kept_density, subject), say, {})  # for the gallery of a sweep
    return {
        name: values.cpu().numpy() if isinstance(values, Tensor) else values
        for name, values in found.items()
        if values is not None
    }
