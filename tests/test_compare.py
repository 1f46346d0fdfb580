"""Runs beside each other: what differs, seeds averaged, for people and for programs."""

import csv
import io
import json
import math
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from genexp.compare.comparison import Spread, compare
from genexp.compare.selection import choose_columns, choose_rows, find_key
from genexp.compare.showing import as_csv, as_markdown, as_text, spread_text
from genexp.compare.table import Table, comma_separated, markdown, text
from genexp.errors import UserError
from genexp.folder.records import Record, read_record

LEAKS = {(0.1, 0): 0.031, (0.1, 1): 0.029, (0.1, 2): 0.033, (0.01, 0): 0.0101, (0.01, 1): 0.0202}


def record(name: str, config: dict, metrics: dict | None = None, status: str = "finished", folder: str = "outputs") -> Record:
    return Record(Path(folder) / name, {"status": status}, config, (), metrics or {})


def configuration(lr: float, seed: int, **more: object) -> dict:
    return {"experiment": "qr", "seed": seed, "run_dir": None, "device": "cpu", "trainer": {"lr": lr, "ema": 0.9}, **more}


@pytest.fixture
def records() -> list[Record]:
    """Two learning rates, three and two seeds, on two machines."""
    found = []
    for number, ((lr, seed), leak) in enumerate(LEAKS.items()):
        metrics = {"steps": 10, "leak": leak, "nll": -seed / 3, "floor/leak": 0.0, "decoded": "hi" if seed else None}
        config = {**configuration(lr, seed), "device": "cuda" if seed else "cpu", "data_dir": f"/mnt/{seed}"}
        found.append(record(str(number), config, metrics))
    return found


def test_runs_that_differ_in_their_seed_alone_are_one_row(records: list[Record]) -> None:
    first, second = compare(records).rows
    assert (first.label, second.label) == ("0 +2", "3 +1")
    of_first = [leak for (lr, _), leak in LEAKS.items() if lr == 0.1]
    assert first.cell("leak") == Spread(pytest.approx(statistics.fmean(of_first)), pytest.approx(statistics.stdev(of_first)), 3)
    assert second.cell("leak").sd == pytest.approx((0.0202 - 0.0101) / math.sqrt(2))
    assert "seed" not in first.settings
    assert len(compare(records, each=True).rows) == len(records)


def test_a_key_that_came_later_parts_no_seeds(records: list[Record]) -> None:
    newer = record("new", configuration(0.1, 7, figures={"gif": True}), {"leak": 0.03})
    assert [row.label for row in compare([*records, newer]).rows] == ["0 +3", "3 +1"]
    assert [row.label for row in compare([newer, *records]).rows] == ["new +3", "3 +1"]
    assert len(compare([record("a", {}), record("b", {})]).rows) == 2  # of which nothing is known


def test_only_what_differs_is_shown(records: list[Record]) -> None:
    assert compare(records).columns() == ["run", "n", "trainer.lr", "leak", "nll"]
    assert compare(records, each=True).columns() == ["run", "seed", "trainer.lr", "leak", "nll", "decoded"]
    everything = compare(records).columns(constant=True)
    assert {"trainer.ema", "experiment", "steps", "floor/leak"} < set(everything)
    assert not {"run_dir", "data_dir", "device"} & set(everything)


def test_a_metric_that_nobody_has_a_number_of_is_not_shown(records: list[Record]) -> None:
    silent = [record(name, configuration(lr, 0), {"leak": lr, "decoded": None}) for name, lr in (("a", 0.1), ("b", 0.2))]
    comparison = compare(silent)
    assert "decoded" not in comparison.columns(constant=True)
    assert "decoded" not in as_text(comparison, comparison.columns(), None)


def test_a_key_of_some_models_alone_counts_among_those(records: list[Record]) -> None:
    one = record("a", configuration(0.1, 0, model={"name": "flow", "bins": 8}), {"leak": 1.0})
    two = record("b", configuration(0.1, 0, model={"name": "ode"}), {"leak": 2.0})
    three = record("c", configuration(0.1, 0, model={"name": "flow", "bins": 16}), {"leak": 3.0})
    assert compare([one, two]).differing() == ["model.name"]
    assert compare([one, two, three]).differing() == ["model.name", "model.bins"]


def test_metrics_begin_with_what_counts_and_each_floor_follows_its_own(records: list[Record]) -> None:
    assert compare(records).metrics == ["leak", "floor/leak", "steps", "nll", "decoded"]


def test_a_command_stands_in_markdown_as_it_was_typed() -> None:
    """In code nothing stands for another sign; a cell that only looks like it is text as any."""
    rows = [["`dataset.text='a & b | *c* <d>'`"], ["a & `b` <c>"], ["`a` & `b`"]]
    lines = markdown(Table(["x"], rows, numeric=[False])).splitlines()[2:]
    assert lines == ["| `dataset.text='a & b \\| *c* <d>'` |", "| a &amp; \\`b\\` &lt;c> |", "| \\`a\\` &amp; \\`b\\` |"]


def test_a_spread_that_is_rounding_alone_is_none() -> None:
    assert spread_text(Spread(2.617, 5e-16, 3), 3) == "2.617"
    assert spread_text(Spread(2.617, 5e-6, 3), 3) == "2.6170000 ± 0.0000050"
    assert spread_text(Spread(0.0, 0.0, 2), 3) == "0 (2)"


def test_a_seed_and_an_experiment_may_be_anything_that_yaml_has(records: list[Record]) -> None:
    strange: list[tuple[str, Any]] = [("a", {}), ("b", [1])]
    odd = [record(name, configuration(0.1, what, experiment=[what]), {"leak": 1.0}) for name, what in strange]
    comparison = compare([*records, *odd])
    assert {"a", "b"} <= {row.label for row in comparison.rows}
    assert "experiment" in comparison.columns()


def test_unfinished_runs_say_so_and_spoil_no_mean(records: list[Record], tmp_path: Path) -> None:
    (tmp_path / "going").mkdir()
    (tmp_path / "going" / "history.jsonl").write_text('{"step": 4, "loss": 1}\n{"step": 8, "lo')
    stale = record("going", configuration(0.1, 3), {"leak": 100.0}, "running", str(tmp_path))
    row = compare([*records[:3], stale]).rows[0]
    assert row.status == "3 finished, 1 running"
    assert row.cell("leak").n == 3
    assert row.cell("leak").mean < 1
    alone = compare([stale]).rows[0]
    assert (alone.status, alone.cell("leak"), alone.cell("steps")) == ("running", 100.0, 4)
    assert "status" in compare([stale]).columns()


def test_rows_are_chosen_and_sorted_by_any_column(records: list[Record]) -> None:
    each = compare([*records, record("none", configuration(0.5, 9))], each=True)

    def labels(filters: list[str], sort: str | None = None, reverse: bool = False) -> list[str]:
        return [row.label for row in choose_rows(each, filters, sort, reverse).rows]

    assert labels([], "leak") == ["3", "4", "1", "0", "2", "none"]
    assert labels([], "leak", reverse=True) == ["2", "0", "1", "4", "3", "none"]
    assert labels(["leak<0.03"]) == ["1", "3", "4"]
    assert labels(["leak < 0.03", "lr=1e-2", "seed>=1"]) == ["4"]
    assert labels(["decoded=hi", "lr!=0.1"]) == ["4"]
    assert labels(["decoded=null", "status=finished"]) == ["0", "3", "none"]
    assert [row.label for row in choose_rows(compare(records), ["leak<=0.03"], None).rows] == ["3 +1"]  # of the mean


def test_columns_are_called_by_name_last_part_or_pattern(records: list[Record]) -> None:
    keys = compare(records).keys
    assert choose_columns("nll,lr,*leak", keys) == ["nll", "trainer.lr", "leak", "floor/leak"]
    with pytest.raises(UserError, match="did you mean 'leak'"):
        find_key("laek", keys)
    with pytest.raises(UserError, match="no column matches"):
        choose_columns("x*", keys)
    with pytest.raises(UserError, match=r"could be any of a\.lr, b\.lr"):
        find_key("lr", ["a.lr", "b.lr"])


@pytest.mark.parametrize("text", ["leak", "leak<", "leak<x", "<3", "leak<>3", "", "laek<3"])
def test_a_filter_that_cannot_be_read_is_refused(records: list[Record], text: str) -> None:
    with pytest.raises(UserError):
        choose_rows(compare(records), [text], None)


def test_the_table_shows_the_mean_its_spread_and_the_floor_once(records: list[Record]) -> None:
    comparison = compare(records)
    lines = as_text(comparison, comparison.columns(), None).splitlines()
    assert lines[0].split() == ["run", "n", "lr", "leak", "nll"]
    assert "0.0310 ± 0.0020" in lines[1]
    assert lines[4].split() == ["floor", "0"]
    assert lines[4].index("0") == lines[0].index("leak") + 3  # under its metric
    assert lines[5] == "same for all: steps 10, decoded hi / —"


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_as_far_as_a_cell_lets_it(records: list[Record], width: int) -> None:
    table = Table(["run", "leak", "a long name"], [[str(n), "0.0310 ± 0.0020", "x"] for n in range(9)], numeric=[False] * 3)
    body, left = text(table, width)
    assert max(map(len, body.splitlines())) <= max(width, len("a long name") + 2 + len("0.0310 ± 0.0020"))
    assert not left
    for n in range(9):
        assert body.split().count(str(n)) == 1
    narrow, left = text(table, 25, needed=2)
    assert max(map(len, narrow.splitlines())) <= 25
    assert left == ["a long name"]


def test_csv_holds_every_number_in_full_and_any_text(records: list[Record]) -> None:
    first, second = csv.DictReader(io.StringIO(as_csv(compare(records)), newline=""))
    leaks = [leak for (lr, _), leak in LEAKS.items() if lr == 0.1]
    assert float(first["leak"]) == statistics.fmean(leaks)
    assert float(first["leak/sd"]) == statistics.stdev(leaks)
    assert (first["run"], first["n"], first["trainer.lr"], first["steps"]) == ("outputs/0", "3", "0.1", "10")
    assert second["trainer.lr"] == "0.01"
    awkward = ['say "hi", twice', "line\nbreak", "", "é"]
    written = comma_separated(["a", "b", "c", "d"], [awkward])
    assert written.startswith('a,b,c,d\r\n"say ""hi"", twice","line\nbreak",')
    assert next(csv.DictReader(io.StringIO(written, newline=""))) == dict(zip("abcd", awkward, strict=True))


def test_no_text_of_a_run_breaks_a_table() -> None:
    wild = record("a", configuration(0.1, 0, text="a|b\x1b[31m\n<script>"), {"leak": 1.0})
    tame = record("b", configuration(0.1, 0, text="日本語 `x`"), {"leak": 2.0})
    comparison = compare([wild, tame])
    plain = as_text(comparison, comparison.columns(), 80)
    assert "\x1b" not in plain
    assert len(plain.splitlines()) == 3
    rows = as_markdown(comparison, comparison.columns()).splitlines()
    assert [row.replace("\\|", "").count("|") for row in rows] == [4] * 4
    assert "<script" not in rows[2]


def test_the_command_reads_runs_and_writes_files(genexp, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        folder = tmp_path / "outputs" / "qr" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text('{"status": "finished"}')
        (folder / "config.yaml").write_text(json.dumps(configuration(0.1, seed)))
        (folder / "metrics.json").write_text(json.dumps({"leak": 0.1 + seed, "floor/leak": 0}))
    code, out, err = genexp("compare")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["one", "+1", "2", "0.60", "±", "0.71"]
    assert genexp("compare", "qr", "--each", "--csv")[1].splitlines()[2] == "outputs/qr/two,1,finished,1,1.1,0"
    for words, header in (
        (["--drop", "n"], "run,status,leak,leak/sd,floor/leak"),  # what is the same for all stays, as without the word
        (["--all"], "run,n,status,experiment,trainer.lr,trainer.ema,leak,leak/sd,floor/leak"),
    ):
        assert genexp("compare", "qr", "--csv", *words)[1].splitlines()[0] == header
    assert genexp("compare", "outputs/qr/*", "--out", "t.md")[0] == 0
    assert (tmp_path / "t.md").read_text().startswith("| run | n | leak |\n| :-- |")
    assert genexp("compare", "--out", "none/t.csv")[0] == 2
    for words, said in (
        (["--out", "t.txt"], "--out t.txt: a file of which kind?"),
        (["--markdown", "--out", "new.csv"], "--markdown --out new.csv: ends in .csv"),
        (["--results", "--out", "new.csv"], "--results --out new.csv: ends in .csv"),
        (["--csv", "--out", "new.md"], "--csv --out new.md: ends in .md"),
    ):
        code, _, err = genexp("compare", *words)
        assert (code, err.count("\n")) == (2, 2)
        assert said in err
    code, _, err = genexp("compare", "--out", "t.md")
    assert (code, err) == (2, "error: --out t.md: exists already, and nothing is overwritten\n")
    assert (tmp_path / "t.md").read_text().startswith("| run | n | leak |\n| :-- |")
    for mistake in (["--filter", "leak>5"], ["--reverse"], ["--sort", "laek"], ["nowhere"], ["--csv", "--markdown"]):
        code, out, err = genexp("compare", *mistake)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")


def test_of_different_experiments_their_names_are_the_difference_and_what_was_typed() -> None:
    """Not every key that one experiment sets differently from another; and no column that one experiment alone has."""
    qr = {"experiment": "qr", "seed": 0, "model": {"width": 256, "depth": 3}, "trainer": {"lr": 0.002}}
    vae = {"experiment": "vae", "seed": 0, "model": {"width": 512, "depth": 2}, "trainer": {"lr": 0.001}}
    metrics = {"leak": 0.1, "floor/leak": 0.0, "module_tv": 0.2, "steps": 5}, {"neg_elbo": 130.0, "kl_to_prior": 5.0, "steps": 7}
    plain = compare([record("a", qr, metrics[0]), record("b", vae, metrics[1])])
    assert plain.columns() == ["run", "experiment", "leak", "floor/leak", "steps", "neg_elbo"]
    assert {"model.width", "trainer.lr", "module_tv", "kl_to_prior"} <= set(plain.columns(constant=True))
    typed = Record(Path("c"), {"status": "finished"}, {**qr, "model": {"width": 64, "depth": 3}}, ("model.width=64",), metrics[0])
    assert "model.width" in compare([record("b", vae, metrics[1]), typed]).columns()
    within = compare([record("a", qr, metrics[0]), record("b", vae, metrics[1]), record("d", {**qr, "trainer": {"lr": 1.0}})])
    assert "trainer.lr" in within.columns()
    assert "model.width" not in within.columns()


def test_a_seed_that_is_repeated_counts_once() -> None:
    """Two runs of seed 0 are no two seeds: the last that finished stands for them."""
    runs = [
        record(str(number), configuration(0.1, seed), {"leak": leak})
        for number, (seed, leak) in enumerate([(0, 1), (0, 3), (1, 5)])
    ]
    again = record("3", configuration(0.1, 1), {"leak": 100.0}, "interrupted")
    comparison = compare([*runs, again])
    (row,) = comparison.rows
    assert row.cell("leak") == Spread(4, pytest.approx(math.sqrt(2)), 2)
    assert (row.cell("n"), row.status, row.repeated) == (2, "finished", 2)
    assert "left out: 2 " in as_text(comparison, comparison.columns(), None)
    assert len(compare([*runs, again], each=True).rows) == 4


def test_a_run_without_metrics_never_stands_for_one_that_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whose metrics.json was damaged, for one: that is said."""
    for name, metrics in (("a", '{"kl": 0.25}'), ("c", '{"kl": ')):  # c is the later one
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text('{"status": "finished"}')
        (tmp_path / name / "config.yaml").write_text("experiment: qr\nseed: 0\n")
        (tmp_path / name / "metrics.json").write_text(metrics)
    records = [read_record(tmp_path / name) for name in ("a", "c")]
    warning = capsys.readouterr().err
    assert f"warning: {tmp_path / 'c' / 'metrics.json'} cannot be read" in warning
    assert warning.count("\n") == 1
    (row,) = compare(records).rows
    assert (row.cell("kl"), row.repeated) == (0.25, 1)
    (tmp_path / "c" / "metrics.json").unlink()
    assert read_record(tmp_path / "c").metrics == {}  # of a run that has not come to its end, nothing is said
    assert not capsys.readouterr().err


def test_times_of_different_devices_have_no_mean() -> None:
    runs = []
    for seed, device in enumerate(("cpu", "cuda:0", "cuda:1")):
        config = {**configuration(0.1, seed), "device": "auto"}
        runs.append(
            Record(Path("outputs") / str(seed), {"status": "finished", "device": device}, config, (), {"seconds_train": seed})
        )
    comparison = compare(runs)
    assert [row.cell("device") for row in comparison.rows] == ["cpu", "cuda"]
    assert comparison.columns() == ["run", "n", "device", "seconds_train"]


def test_n_is_the_number_of_values_behind_the_mean_in_the_table_and_in_the_file() -> None:
    """Of three runs that finished two have the number that they are judged by; one has no `few` at all."""
    metrics = [{"leak": 1.0, "kl": 0}, {"leak": 3.0, "kl": 1, "few": 7.0}, {"leak": None, "kl": 2}]
    runs = [record(str(seed), configuration(0.1, seed), numbers) for seed, numbers in enumerate(metrics)]
    comparison = compare([*runs, record("3", configuration(0.1, 3), {}, "interrupted")])
    (row,) = comparison.rows
    assert [row.n, *(row.cell(name).n for name in ("leak", "kl", "few"))] == [2, 2, 3, 1]
    line = as_text(comparison, ["run", "n", "leak", "kl", "few"], None).splitlines()[1]
    assert re.split(" {2,}", line) == ["0 +3", "2", "2.0 ± 1.4", "1.0 ± 1.0 (3)", "7 (1)"]
    written = next(csv.DictReader(io.StringIO(as_csv(comparison), newline="")))
    assert [written[name] for name in ("n", "leak", "kl", "kl/n", "few", "few/n")] == ["2", "2.0", "1.0", "3", "7.0", "1"]
    assert "leak/n" not in written


def of_data(name: str, origin: str | None, seed: int, leak: float, lr: float = 0.1, **more: object) -> Record:
    """A run on a folder of pictures whose run.json has a digest of its data."""
    digest = None if origin is None else {"origin": origin * 10, "examples": None}
    config = configuration(lr, seed, dataset={"name": "image_folder", "path": "pictures"}, **more)
    return Record(Path("outputs") / name, {"status": "finished", "data": {"digest": digest}}, config, (), {"leak": leak})


def test_runs_of_other_data_are_other_rows_and_a_column_says_so() -> None:
    """Neither seeds to be averaged, nor one that is repeated."""
    runs = [of_data("0", "a", 0, 1.0), of_data("1", "b", 0, 2.0), of_data("2", "b", 1, 4.0), of_data("3", None, 2, 6.0)]
    for order in (runs, runs[::-1]):
        comparison = compare(order)
        assert sorted(len(row.records) for row in comparison.rows) in ([1, 3], [2, 2])  # which data the third are nobody knows
        assert sum(row.repeated for row in comparison.rows) == 0
        assert {record.data.origin for row in comparison.rows for record in row.records} == {"a" * 10, "b" * 10, None}
        for row in comparison.rows:
            assert len({record.data.origin for record in row.records} - {None}) == 1
        assert comparison.columns() == ["run", "n", "data", "leak"]
        assert {row.cell("data") for row in comparison.rows} == {"a" * 8, "b" * 8}
    assert "data" in compare(runs, each=True).columns()
    same = [of_data("0", "a", 0, 1.0), of_data("1", "a", 1, 2.0), of_data("2", "a", 1, 2.0, lr=0.2)]
    assert len(compare(same[:2]).rows) == 1
    assert compare(same).columns() == ["run", "n", "trainer.lr", "leak"]
    assert "data" in compare(same).columns(constant=True)


def test_other_settings_of_the_data_set_say_themselves_that_data_differ() -> None:
    one, two = of_data("0", "a", 0, 1.0), of_data("1", "b", 0, 2.0)
    two = Record(two.path, two.run, {**two.config, "dataset": {"name": "image_folder", "path": "others"}}, (), two.metrics)
    assert compare([one, two]).columns() == ["run", "dataset.path", "leak"]


def test_data_of_the_same_examples_have_one_name_however_they_are_packed() -> None:
    digests = [("a" * 10, "x"), ("b" * 10, "x"), ("b" * 10, "y")]
    runs = [of_data(str(seed), "a", seed, 1.0 + seed) for seed in range(3)]
    runs = [
        Record(run.path, {**run.run, "data": {"digest": {"origin": origin, "examples": examples}}}, run.config, (), run.metrics)
        for run, (origin, examples) in zip(runs, digests, strict=True)
    ]
    assert "data" not in compare(runs[:2], each=True).columns()
    assert "data" not in compare(runs[1:], each=True).columns()


def test_what_is_swept_is_a_setting_wherever_a_run_took_place() -> None:
    """A sweep over `data_dir` keeps every job, of the same data or not."""
    runs = [of_data(place, "a", 0, 1.0, data_dir=place) for place in "ab"]
    assert compare(runs).rows[0].repeated == 1
    rows = compare(runs, swept=["data_dir"]).rows
    assert [(row.cell("data_dir"), row.repeated) for row in rows] == [("a", 0), ("b", 0)]
