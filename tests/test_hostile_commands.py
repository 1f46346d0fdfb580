"""Wrong commands: each ends with exit code 2 and one line, and leaves nothing behind."""

import json
from pathlib import Path

import pytest

from tests.forking import Ended, Forks
from tests.hostile import CORPUS

COMMANDS = [json.loads(line) for line in CORPUS.read_text().splitlines()]
GIGABYTE = 1 << 30


def wrong_in(ended: Ended) -> str | None:
    """What is not as a mistake's end should be."""
    lines = ended.output.split("\n")[:-1]
    if ended.code != 2:
        return f"exit code {ended.code}"
    if (
        not lines
        or not lines[0].startswith("error: ")
        or len(lines) > 2
        or (len(lines) == 2 and not lines[1].startswith("hint: "))
    ):
        return "not one line (and a hint)"
    if any(not line.isprintable() or len(line) > 3000 for line in lines):
        return "a line that is not plain, or far too long"
    return None


def refuse_all(forks: Forks, folder: Path, commands: list[list[str]]) -> None:
    failures = []
    for typed in commands:
        ended = forks(folder, typed, die_after=60, memory=4 * GIGABYTE)
        problem = wrong_in(ended) or ("it wrote something" if list(folder.iterdir()) else None)
        if problem:
            failures.append((typed, problem, ended.output[-500:]))
    assert not failures


def test_wrong_commands_are_refused(forks: Forks, tmp_path: Path) -> None:
    """One in twenty-five of the corpus. (All of it: make test-slow.)"""
    assert len(COMMANDS) == 500
    refuse_all(forks, tmp_path, COMMANDS[::25])


@pytest.mark.slow
def test_every_wrong_command_is_refused(forks: Forks, tmp_path: Path) -> None:
    refuse_all(forks, tmp_path, COMMANDS)
