"""Paths as users type them."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from genexp.commands.parser import make_parser
from genexp.config.composition import compose, compose_stored
from genexp.fetch import default_data_dir
from genexp.paths import expanded
from genexp.sweep.plan import make_plan


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")


def test_the_folder_of_data_may_be_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "home" / "data"
    assert compose(["data_dir=~/data"]).settings.data_dir == str(mine)
    assert compose(["data_dir=~nobody_at_all/data"]).settings.data_dir == "~nobody_at_all/data"
    run = Path("run")
    run.mkdir()
    import yaml

    run.joinpath("config.yaml").write_text(yaml.safe_dump(compose([]).settings.model_dump(mode="json")))
    mine.mkdir()
    assert compose_stored(run, ["data_dir=~/data"]).settings.data_dir == str(mine)
    monkeypatch.setenv("GENEXP_DATA", "~/data")
    assert default_data_dir() == mine
    assert compose([]).settings.data_dir == str(mine)
    assert make_plan(["sweep.dir=~/s", "seed=0,1"], [], []).root == tmp_path / "home" / "s"


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        for child in (action.choices or {}).values() if isinstance(action, argparse._SubParsersAction) else ():
            yield from options(child)


def test_every_option_that_takes_a_path_knows_the_users_home() -> None:
    """`--out=~/x` is not expanded by the shell."""
    types = [action.type for action in options(make_parser())]
    assert types.count(expanded) >= 8
    assert Path not in types
