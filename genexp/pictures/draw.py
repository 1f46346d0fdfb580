"""Every picture and film that can be made of a subject."""

from functools import partial
from typing import Any

import torch

from genexp.folder.run_folder import RunFolder
from genexp.machine.device import autocast, choose_precision
from genexp.measures.record import Film, Picture, films, pictures
from genexp.measures.take import Say, attempt
from genexp.measures.underway import Underway
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject

Words = dict[str, dict[str, Any]]


@torch.no_grad()
def draw(subject: Subject, folder: RunFolder, say: Say) -> Words:
    """Those whose needs are met, into the run's folder; returns their words. One that cannot be drawn `say` is told of."""
    words: Words = {}
    stills, moving = pictures.met_by(subject), films.met_by(subject) if subject.settings.figures.gif else []
    with Underway("drawing", len(stills) + len(moving), folder.say, not folder.silent) as underway:
        for each in stills:
            underway.now(each.name)
            if (drawn := _attempt(each, subject, say)) is not None:
                folder.save_figure(each.name, drawn)
                words[each.name] = each.words()
        for each in moving:
            underway.now(f"the film {each.name}")
            made: Film | None = _attempt(each, subject, say)
            if made is not None:
                folder.save_gif(each.name, made.frames, made.fps, made.hold_last)
                words.setdefault(each.name, each.words())
    return words


def _attempt(each: Picture, subject: Subject, say: Say) -> Any:
    """What it gives; None where it fails."""
    precision = choose_precision(subject.settings.trainer.precision, subject.device)
    with seeded(seed_for(subject.settings.seed, f"figures/{each.name}"), subject.device), autocast(subject.device, precision):
        return attempt(f"{each.name}, a picture,", partial(each.function, subject), say)
