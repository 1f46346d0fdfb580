"""What to try next: what the rules beside the measures say of a run, as whole command lines that are known to compose."""

from collections.abc import Sequence
from dataclasses import dataclass

from genexp.errors import UserError
from genexp.folder.records import Record
from genexp.measures.suggestion import BUDGETS, Case, Suggestion, suggestions
from genexp.printable import command_line, printable

MOST = 3
GO_ON = Suggestion("It stopped before its end; it goes on exactly where it was.", (), goes_on=True)
OTHER_SEEDS = Suggestion(
    "Three other seeds show how much of these numbers is chance: genexp compare gives mean and spread.", ("seed=range(1,4)",)
)


@dataclass(frozen=True)
class Advice:
    why: str
    command: str


def advice(record: Record, most: int = MOST) -> list[Advice]:
    """The most urgent ones, each of them about something else; and other seeds, where there is nothing more urgent.

    Nothing of a run that needs its author's plugins or YAML files, of a failed composition, or of one that is still running.
    """
    if (
        record.status in ("running", "unknown")
        or not record.config
        or any(record.run.get(key) for key in ("plugins", "config_dirs"))
    ):
        return []
    found: list[Advice] = []
    changed: set[str] = set()
    saved = (record.path / "checkpoints" / "last.pt").is_file()
    stopped = [GO_ON] if saved and record.status in ("interrupted", "killed") else []
    for each in stopped + suggestions(Case(record.metrics, record.history(), record.config, record.run)):
        keys = {key_of(word) for word in each.words}
        if len(found) < most and not keys & changed and (command := command_of(record, each)):
            found.append(Advice(each.why, command))
            changed |= keys or {f"trainer.{budget}" for budget in BUDGETS}
    if not found and (command := command_of(record, OTHER_SEEDS)):
        found.append(Advice(OTHER_SEEDS.why, command))
    return found


def command_of(record: Record, suggestion: Suggestion) -> str | None:
    """The command line that follows a suggestion; None where it is refused."""
    from genexp.config.composition import compose, compose_stored

    swept = [word for word in suggestion.words if "range(" in word or "," in word]
    words = [*kept(record.overrides, suggestion.words), *suggestion.words]
    try:
        if suggestion.goes_on:
            compose_stored(record.path, suggestion.words)
            return printable(command_line(["genexp", "resume", str(record.path), *suggestion.words]))
        compose([word for word in words if word not in swept])
    except (UserError, OSError, ValueError, TypeError):
        return None
    return printable(command_line(["genexp", "run", *(["-m"] if swept else []), *words]))


def kept(typed: Sequence[str], words: Sequence[str]) -> list[str]:
    """Of what was typed for a run, what still holds beside these words: no key twice, no setting of a part that is another now,
    no rate of learning that was another model's. What only one run may have is left out, and what is none of a run's own keys.
    """
    changed = [*map(key_of, words)]
    parts = tuple(f"{key.replace('/', '.')}." for key in changed if "/" in key or key == "model")
    last = {key_of(word): word for word in typed if "=" in word and not word.startswith(("-", "hydra"))}
    dropped = {*changed, "run_dir", *(["trainer.lr"] if "model" in changed else [])}
    return [word for key, word in last.items() if key not in dropped and not key.startswith(parts or ("\0",))]


def key_of(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")
