"""What a run's model and numbers are, as the page shows it: equations in MathML, sentences, parts; units and blind spots."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from genexp.explain.equations import mathml
from genexp.explain.model import Explanation, explain
from genexp.explain.numbers import Told, told
from genexp.folder.records import read_record
from genexp.report.advice import Advice, advice
from genexp.report.gather import Run
from genexp.runs.words import Words

MOST_EXPLAINED = 8  # models of one page


@dataclass(frozen=True)
class About:
    """`runs`: the indices of the runs that have this model; `equations` and `objective` are MathML."""

    runs: tuple[int, ...]
    model: Explanation
    equations: tuple[Markup, ...]
    objective: tuple[Markup, ...]


def about(runs: Sequence[Run]) -> list[About]:
    """Each model of these runs once, with the runs that have it; of a plugin's nothing is known here."""
    found: dict[Explanation, list[int]] = {}
    for index, run in enumerate(runs):
        settings = read_record(run.folder.path).config.get("model")
        explanation = explain(settings) if isinstance(settings, dict) else None
        if explanation and explanation.equations:
            found.setdefault(explanation, []).append(index)
    return [
        About(tuple(indices), each, typeset(each.equations), typeset(each.objective))
        for each, indices in [*found.items()][:MOST_EXPLAINED]
    ]


def typeset(equations: Sequence[str]) -> tuple[Markup, ...]:
    """LaTeX as MathML; what is no equation (of a plugin, say) is left out."""
    found = []
    for latex in equations:
        try:
            found.append(Markup(mathml(latex)))
        except ValueError:
            continue
    return tuple(found)


def next_steps(run: Run) -> list[Advice]:
    """What to try next with this run."""
    return advice(read_record(run.folder.path))


def tell(words: Words, name: str) -> Told:
    """Of one number: its unit, which way is better, what it cannot see. `coverage/classifier` is told of as `coverage` is."""
    if of := words.of_error(name):
        return Told(tell(words, of).unit, "", "", "")  # a standard error has the unit of what it is the error of
    return told(name, words.record(name) or {})
