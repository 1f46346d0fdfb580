"""One page of all cases: what is claimed, the number found here, and what is known of it; the figures; the line that runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genexp.article.numbers import ARTICLE, FULL_KL, MEANING_OF_FULL_KL, value_of
from genexp.claims.records import Claim, Study
from genexp.folder.records import Number, read_metrics
from genexp.folder.standing import state_of
from genexp.printable import command_line
from genexp.report.gather import Run, gather
from genexp.report.live import Live, bring_to_life
from genexp.report.pictures import Still, stills
from genexp.report.render import environment
from genexp.report.side_by_side import words_in
from genexp.reproduce.chapters import CHAPTERS
from genexp.reproduce.plan import Planned
from genexp.summary import BESIDE


@dataclass(frozen=True)
class Done:
    """A case that has a run: its text, the figures that are shown, and the model where it can be played with."""

    planned: Planned
    run: Run
    metrics: Mapping[str, Number]
    stills: list[Still]
    live: Live

    @property
    def line(self) -> str:
        """What runs it."""
        return command_line(["genexp", "run", *self.planned.composed.overrides])


@dataclass(frozen=True)
class Cell:
    """What a run says of a number, and what is known of that and holds for this run alone: a floor, an exact value …"""

    value: Number
    beside: Mapping[str, Number]


@dataclass(frozen=True)
class Row:
    """A number: what it is, what the article says of it, what each run says, and what is known of it whichever the run."""

    measure: str
    meaning: str
    claim: Claim | None
    cells: list[Cell]
    known: dict[str, Number]


@dataclass(frozen=True)
class Plate:
    """A figure, from each run that has it."""

    caption: str
    pictures: list[tuple[Done, Still]]


@dataclass(frozen=True)
class Chapter:
    """What is shown, with its runs, the article's setting first; `part`: the title of its chapter where it begins one."""

    part: str
    study: Study
    done: list[Done]
    unfinished: list[tuple[Planned, str]]

    @property
    def rows(self) -> list[Row]:
        claims = {claim.measure: claim for claim in self.study.claims}
        rows, words = [], words_in([one.run for one in self.done])
        for measure in dict.fromkeys([*claims, *self.study.measures]):
            cells, known = cells_and_known(measure, [one.metrics for one in self.done])
            if measure in claims or any(cell.value is not None for cell in cells):
                meaning = MEANING_OF_FULL_KL if measure == FULL_KL else words.meaning(measure)
                rows.append(Row(measure, meaning, claims.get(measure), cells, known))
        return rows

    @property
    def plates(self) -> list[Plate]:
        plates = []
        for name, caption in self.study.figures.items():
            pictures = [(one, still) for one in self.done for still in one.stills if still.name == name]
            if pictures:
                plates.append(Plate(caption, pictures))
        return plates


def cells_and_known(measure: str, runs: Sequence[Mapping[str, Number]]) -> tuple[list[Cell], dict[str, Number]]:
    """A number in each run, and what is known of it in all runs that have it. A baseline depends on a model's size, a floor on
    its data: what is not the same in all stands in each run's own cell.
    """
    cells = []
    for metrics in runs:
        beside = {kind: value for kind in BESIDE if (value := metrics.get(f"{kind}/{measure}")) is not None}
        cells.append(Cell(value_of(measure, metrics), beside))
    having = [cell for cell in cells if cell.value is not None or cell.beside]
    known = {
        kind: having[0].beside[kind]
        for kind in BESIDE
        if having and kind in having[0].beside and len({cell.beside.get(kind) for cell in having}) == 1
    }
    return [Cell(cell.value, {kind: own for kind, own in cell.beside.items() if kind not in known}) for cell in cells], known


def chapters(planned: Sequence[Planned], failed: Mapping[str, str], live: bool = True) -> list[Chapter]:
    """The case studies of these cases."""
    found: list[Chapter] = []
    for part, study in _in_order():
        mine = [one for one in planned if one.case.study == study.name]
        mine.sort(key=lambda one: one.case.setting == "ours")
        done, unfinished, shown_alive = [], [], False
        for one in mine:
            if state_of(one.path) != "finished":
                unfinished.append((one, failed.get(one.case.name, "not run yet")))
                continue
            run = gather(one.path)
            alive = live and one.case.setting == "ours" and not shown_alive
            shown_alive |= alive
            pictures = stills(run.folder, only=tuple(study.figures))
            done.append(Done(one, run, read_metrics(one.path), pictures, bring_to_life(run) if alive else Live()))
        if mine:
            begins = all(one.part != part for one in found)
            found.append(Chapter(part if begins else "", study, done, unfinished))
    return found


def _in_order() -> list[tuple[str, Study]]:
    return [(chapter.title, study) for chapter in CHAPTERS.values() for study in chapter.studies]


def page(planned: Sequence[Planned], failed: Mapping[str, str], quick: bool) -> str:
    """The page."""
    template = environment(Path(__file__).parent).get_template("reproduce.html.j2")
    return template.render(
        title="What the lectures and the article claim, reproduced",
        article=ARTICLE,
        chapters=chapters(planned, failed),
        quick=quick,
    )
