"""What is to be done: which cases, on which data, with which budget, and about how long that takes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genexp.claims.records import Case
from genexp.config.composition import Composed, compose
from genexp.errors import UserError, unknown
from genexp.fetch import default_data_dir
from genexp.fetch.sets import data_in_words, is_there
from genexp.folder.records import read_config
from genexp.folder.standing import State, state_of
from genexp.registry import models
from genexp.reproduce.chapters import CASES, CHAPTERS
from genexp.settings import TrainerSettings, validate


@dataclass(frozen=True)
class Planned:
    """A case in its folder: the run as it would be composed today, and in words the data and the budget of the run that is
    there, else of that one. `differs`: what today's would have of them instead, where that is something else.
    """

    case: Case
    path: Path
    composed: Composed
    data: str
    real: bool
    budget: str
    full_budget: str
    quick: bool
    state: State
    seconds: float
    differs: str = ""

    @property
    def label(self) -> str:
        """The budget, and what it is a part of."""
        if self.budget == self.full_budget:
            return self.budget
        return f"{'quick: ' if self.quick else ''}{self.budget}; in full {self.full_budget}"


def plan(folder: Path, quick: bool, only: Sequence[str] = (), chapters: Sequence[str] = ()) -> list[Planned]:
    """The cases in order of their cost. UserError for a name in `only` or `chapters` that is none of them."""
    for name in chapters:
        if name not in CHAPTERS:
            raise unknown("chapter", name, list(CHAPTERS))
    names = [case.name for case in CASES]
    for name in only:
        if name not in names:
            raise unknown("case", name, names)
    if quick and only and (left_out := [case.name for case in CASES if case.name in only and case.quick is None]):
        raise UserError(f"{left_out[0]} is not part of --quick", hint=f"genexp reproduce --only {left_out[0]}")
    chosen = [case for case in CASES if (not only or case.name in only) and not (quick and case.quick is None)]
    wanted = {case.name for name in chapters for case in CHAPTERS[name].cases}
    chosen = [case for case in chosen if not chapters or case.name in wanted]
    if not chosen:
        raise UserError(f"of chapter {','.join(chapters)} no case is left to do", hint="leave --only or --quick out")
    planned = [_planned(case, folder / case.name, quick) for case in chosen]
    return sorted(planned, key=lambda one: one.seconds)


def _planned(case: Case, path: Path, quick: bool) -> Planned:
    real = case.needs is None or is_there(case.needs)
    full, composed = _composed(case, real, quick)
    today = Planned(
        case=case,
        path=path,
        composed=composed,
        data=data_in_words(case.needs, composed.settings.dataset["name"], default_data_dir()),
        real=real,
        budget=budget_in_words(composed.settings.trainer, composed.settings.model, case),
        full_budget=budget_in_words(full.settings.trainer, full.settings.model, case),
        quick=quick,
        state=state_of(path),
        seconds=case.quick_seconds if quick else case.seconds,
    )
    return today if today.state == "to do" else _as_it_is(today)


def _composed(case: Case, real: bool, quick: bool) -> tuple[Composed, Composed]:
    """The case in full, and as it is wanted."""
    way = case.way if real or case.stand_in is None else case.stand_in
    full = compose([f"experiment={way.experiment}", *way.overrides])
    return full, compose([*full.overrides, *less_of(full, case.quick)]) if quick and case.quick is not None else full


def less_of(full: Composed, quick: Sequence[str]) -> list[str]:
    """The words of a quick case, without those that would measure or draw more than the case in full does."""
    kept = []
    for word in quick:
        section, _, key = word.partition("=")[0].partition(".")
        own = getattr(getattr(full.settings, section), key) if section in ("evaluation", "figures") else None
        value = word.partition("=")[2]
        if not (isinstance(own, int) and value.isdecimal() and int(value) > own):
            kept.append(word)
    return kept


def _as_it_is(today: Planned) -> Planned:
    """With the data and the budget of the run that is in the folder: those on disk today may be others."""
    case = today.case
    try:
        config, _ = read_config(today.path)
        name, data_dir = str(config["dataset"]["name"]), Path(str(config["data_dir"]))
        budget = budget_in_words(validate(TrainerSettings, config["trainer"]), config["model"], case)
    except (UserError, KeyError, TypeError, ValueError):
        unreadable = "not known: its config.yaml cannot be read"
        return replace(today, data=unreadable, real=False, budget=unreadable)
    real = case.needs is None or name == case.needs
    full, _ = _composed(case, real, quick=False)
    there = replace(
        today,
        data=data_in_words(case.needs, name, data_dir),
        real=real,
        budget=budget,
        full_budget=budget_in_words(full.settings.trainer, full.settings.model, case),
    )
    others = [] if name == today.composed.settings.dataset["name"] else [today.data]
    others += [] if budget == today.budget else [today.budget]
    return replace(there, differs="; ".join(others))


def budget_in_words(trainer: TrainerSettings, model: Mapping[str, Any], case: Case) -> str:
    """How much a run learns from; of one that learns nothing step by step what --quick makes less of, if anything."""
    of_class = getattr(models[str(model["name"])], "fitter", None)
    match of_class if isinstance(of_class, str) and "fitter" not in model else model.get("fitter", "gradient"):
        case "none":
            keys = [word.partition("=")[0].partition(".") for word in case.quick or ()]
            return ", ".join(f"{model[key]} {key}" for section, _, key in keys if section == "model") or "nothing to learn"
        case "chain":
            return "Markov chains"
        case "em":
            return f"at most {trainer.max_steps:,} passes of EM" if trainer.max_steps is not None else "EM"
    if trainer.max_steps is not None:
        return f"{trainer.max_steps:,} steps of {trainer.batch_size:,}"
    return f"{trainer.max_epochs} epochs of {trainer.batch_size:,}"


def in_words(planned: Sequence[Planned], at_once: int = 1) -> str:
    """What will be done, a line each, and how long so many `at_once` take."""
    width = max(len(one.case.name) for one in planned)
    data = max(len(one.data) for one in planned)
    lines = []
    for one in planned:
        state = "finished already" if one.state == "finished" else f"about {duration(one.seconds)}"
        going = " (goes on)" if one.state == "to go on with" else ""
        lines.append(f"  {one.case.name:<{width}}  {one.data:<{data}}  {one.budget:<24}  {state}{going}")
        if one.differs:
            lines.append(f"  {'':<{width}}  begun earlier, and it stays so; begun today it would have: {one.differs}")
    left = sum(one.seconds for one in planned if one.state != "finished")
    together = f", {at_once} at once" if at_once > 1 else ""
    total = f"  in all about {duration(left / at_once)} on two free cores{together}"
    lines.append(total if left else "  nothing is left to do but the page")
    missing = sorted({one.case.needs for one in planned if one.case.needs and not is_there(one.case.needs)})
    lines += [f"  {name} is not in {default_data_dir()}: genexp data fetch {name}" for name in missing]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def read_mode(folder: Path) -> bool | None:
    """Whether the reproduction in `folder` is a quick one; None where there is none."""
    try:
        mode = json.loads((folder / "reproduce.json").read_text(encoding="utf-8"))["quick"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return bool(mode)
