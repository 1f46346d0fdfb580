"""Paths as users type them."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from genexp.commands.parser import make_parser
from genexp.config.composition import compose, compose_stored
from genexp.fetch import default_data_dir
from genexp.folder.finding import find_run
from genexp.folder.run_folder import RunFolder
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


@pytest.mark.parametrize("typed", ["-run", "./-run"])  # the second is to Path the first
def test_a_run_whose_name_begins_like_an_option_can_be_named_again(tmp_path: Path, typed: str) -> None:
    path = RunFolder.create("any", typed).path
    path.joinpath("run.json").write_text("{}")
    assert (str(path), find_run(typed)) == (str(tmp_path / "work" / "-run"), path)
    (again,) = make_parser().parse_args(["report", str(path)]).runs
    assert find_run(again) == path
