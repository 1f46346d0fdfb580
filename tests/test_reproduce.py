"""`genexp reproduce`: every case is one that can be run, what is finished is not done twice, and one failure stops nothing."""

import json
import shlex
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genexp.article.numbers import FULL_KL, value_of
from genexp.claims.records import Case, Study, Way
from genexp.config.composition import Composed, compose
from genexp.errors import Interrupted, UserError
from genexp.folder.records import read_run
from genexp.folder.run_folder import RunFolder
from genexp.measures.bounds import bounds
from genexp.measures.reconstruction import error_and_kl
from genexp.measures.record import measures, pictures
from genexp.reproduce import plan as planning
from genexp.reproduce.carry_out import alone_in, carry_out
from genexp.reproduce.chapters import CASES, STUDIES
from genexp.reproduce.page import cells_and_known
from genexp.reproduce.plan import duration, plan
from genexp.runs.experiment import build
from tests import browser
from tests.conftest import RUNS, TINY
from tests.subjects import taken


def budget_of(model: dict[str, Any]) -> dict[str, Any]:
    """Those settings of a model that say how long it takes, where nothing is trained: the repetitions of a trial, estimates."""
    budget = {"repetitions": ("repetitions", "failing", "rungs"), "repeats": ("repeats", "sizes", "dimensions")}
    keys = [key for sign, keys in budget.items() if sign in model for key in keys]
    return {key: model[key] for key in keys}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_a_run(case: Case) -> None:
    """In full, on embedded data and quick; quick is less of the same."""
    assert case.study in [study.name for study in STUDIES]
    assert (case.needs is None) == (case.stand_in is None)
    ways = [case.way] if case.stand_in is None else [case.way, case.stand_in]
    for way in ways:
        composed = compose([f"experiment={way.experiment}", *way.overrides])
        full = composed.settings
        assert (full.dataset["name"] == case.needs) == (way is case.way and case.needs is not None)
        if case.quick is not None and way is ways[-1]:
            words = planning.less_of(composed, case.quick)
            quick = compose([f"experiment={way.experiment}", *way.overrides, *words]).settings
            for section in ("evaluation", "figures"):
                ours, theirs = (getattr(each, section).model_dump() for each in (quick, full))
                assert all(not isinstance(own, int) or own <= theirs[key] for key, own in ours.items())  # never more than in full
            assert {**quick.model, **budget_of(full.model)} == full.model
            assert quick.dataset == full.dataset
            steps = quick.trainer.max_steps
            assert steps is not None
            assert quick.trainer.max_epochs is None
            shorter = any(word.startswith("trainer.max_steps") for word in case.quick)
            less = case.seconds <= 15 or quick.model != full.model  # or all of it takes seconds
            assert steps < (full.trainer.max_steps or 1000) if shorter else less


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_every_study_speaks_of_numbers_and_pictures_that_there_are(study: Study) -> None:
    known = {each.name for each in measures.all()} | {"seconds_train", "heldout_loss"}
    for name in {*(claim.measure for claim in study.claims), *study.measures} - {FULL_KL}:
        assert name.split("/")[0] in known or name.removesuffix("_error") in known, name
    assert set(study.figures) <= {each.name for each in pictures.all()}


def test_real_data_where_they_are_and_embedded_ones_where_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["mnist_vae", "seminar_fruit_vae"]
    with_mnist = {one.case.name: one for one in plan(tmp_path, True, names)}
    assert with_mnist["mnist_vae"].real
    assert with_mnist["mnist_vae"].data.startswith("mnist, real")
    assert with_mnist["seminar_fruit_vae"].data.startswith("drawn_fruit, embedded")  # the small fruit here are not the published
    monkeypatch.setenv("GENEXP_DATA", str(tmp_path))
    assert plan(tmp_path, True, names[:1])[0].data == "glyphs, embedded, in place of mnist"


def test_every_quick_number_is_labelled_with_its_budget(tmp_path: Path) -> None:
    (one,) = plan(tmp_path, True, ["seminar_qr_flowmatch"])
    assert one.label == "quick: 400 steps of 1,024; in full 20,000 steps of 12,288"
    assert plan(tmp_path, False, ["seminar_qr_flowmatch"])[0].label == "20,000 steps of 12,288"


def test_what_learns_nothing_by_steps_says_so_and_what_a_quick_one_has_less_of(tmp_path: Path) -> None:
    names = ["randu", "hmc", "gmm_em", "metric_trial"]
    said = {one.case.name: one.label for one in plan(tmp_path, True, names)}
    assert said == {
        "randu": "nothing to learn",
        "hmc": "Markov chains",
        "gmm_em": "at most 500 passes of EM",
        "metric_trial": "quick: 40 repetitions, 10 failing, 2 rungs; in full 400 repetitions, 40 failing, 4 rungs",
    }


def test_the_page_says_what_a_run_was_trained_on_not_what_is_there_today(
    genexp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    """A run that was begun without MNIST stays one of glyphs when MNIST has come, and with its own budget."""
    by_name = {case.name: case for case in CASES}
    case = replace(by_name["seminar_mnist_vae"], quick=(*TINY, "figures.enabled=false", "trainer.max_epochs=null"))
    small = ("dataset=glyphs", "dataset.count=120", "dataset.validation=30", "dataset.test=30")
    case = replace(case, stand_in=Way("seminar/mnist_vae", small))
    monkeypatch.setattr(planning, "CASES", (case,))
    monkeypatch.setenv("GENEXP_DATA", str(tmp_path / "empty"))
    assert genexp("reproduce", "--quick", "--into", "again")[0] == 0

    monkeypatch.setenv("GENEXP_DATA", str(data_folder))
    monkeypatch.setattr(planning, "CASES", (replace(case, quick=(*case.quick, "trainer.max_steps=3")),))
    (one,) = plan(Path("again"), True)
    assert one.data == "glyphs, embedded, in place of mnist"
    assert not one.real
    assert one.label.startswith("quick: 2 steps of 32;")
    assert one.differs == f"mnist, real, from {data_folder}; 3 steps of 32"
    code, out, _ = genexp("reproduce", "--into", "again")
    assert code == 0
    assert one.differs in out
    page = (tmp_path / "again" / "report.html").read_text()
    assert "<td>glyphs, embedded, in place of mnist" in page
    assert one.differs in page
    assert "Other data than those of the article" in page

    (tmp_path / "again" / case.name / "config.yaml").unlink()
    (one,) = plan(Path("again"), True)
    assert "not known" in one.data
    assert "not known" in one.budget
    assert not one.real


def test_what_is_derived_from_metrics_needs_all_of_them() -> None:
    assert value_of("a", {"a": "text"}) == "text"
    assert value_of(FULL_KL, {"article_loss": 60.0}) is None
    assert value_of(FULL_KL, {"article_loss": 60.0, "squared_error": "?"}) is None


def test_the_articles_loss_with_all_of_the_divergence() -> None:
    """|x − x̂|² + KL(q ‖ N(0, I)), of a model whose own prior is another: beside the article's stands no divergence from that."""
    other = ["model/prior=vamp", "model/posterior=gaussian", "model.conditional=false", "model.prior.pseudo_inputs=3"]
    subject = build(compose([*RUNS["fruit"], *other]).settings)
    model, batch = subject.model.eval(), subject.data.test.batch()
    metrics = taken(subject, "squared_error", "article_loss")
    error, divergence = error_and_kl(model, batch, draws=64)
    assert value_of(FULL_KL, metrics) == pytest.approx(error + divergence, rel=0.01)
    assert bounds(model, batch, 64).kl.mean() != pytest.approx(divergence, rel=0.05)


def test_what_is_known_stands_beside_the_run_of_which_it_holds() -> None:
    """What all runs agree on is said once; a baseline that depends on the model stands in each one's own cell."""
    small = {"loss": 5.0, "baseline/loss": 7.0, "floor/loss": 1.0}
    large = {"loss": 4.0, "baseline/loss": 6.0, "floor/loss": 1.0}
    cells, known = cells_and_known("loss", [small, {}, large])
    assert known == {"floor": 1.0}
    assert [(cell.value, cell.beside) for cell in cells] == [(5.0, {"baseline": 7.0}), (None, {}), (4.0, {"baseline": 6.0})]
    cells, known = cells_and_known("loss", [small, {"loss": 3.0}])  # of other data, with no known floor
    assert known == {}
    assert [cell.beside for cell in cells] == [{"floor": 1.0, "baseline": 7.0}, {}]
    assert cells_and_known("loss", [small])[1] == {"floor": 1.0, "baseline": 7.0}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cases: one that is quickly done, and one that cannot be."""
    by_name = {case.name: case for case in CASES}
    good = replace(by_name["double_gaussian"], quick=(*TINY, "figures.gif=false", "model.conditioner.width=8"))
    bad = replace(by_name["qr_flowmatch"], way=Way("qr_flowmatch", ("dataset.image=absent.png",)), quick=tuple(TINY))
    monkeypatch.setattr(planning, "CASES", (good, bad))


def test_one_failure_stops_nothing_and_what_is_done_stays_done(
    genexp, few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chromium: browser.Browser
) -> None:
    code, out, err = genexp("reproduce", "--quick", "--into", "again")
    assert code == 2
    assert "absent.png" in err
    assert "1 of 2 cases finished" in out
    record = (tmp_path / "again" / "double_gaussian" / "run.json").read_text()
    assert json.loads(record)["status"] == "finished"
    with chromium.open(tmp_path / "again" / "report.html") as page:
        assert page.broken_images() == []
        text = page("document.body.innerText")
        assert "2.62" in text
        assert "A quick look" in text
        assert "quick: 2 steps of 32; in full 3,000 steps of 1,024" in text
        assert "absent.png: no such file" in text
        metrics = json.loads((tmp_path / "again" / "double_gaussian" / "metrics.json").read_text())
        for name in ("nll", "kl", "bridge_mass"):
            assert f"{metrics[name]:.4g}" in text
        assert f"floor {metrics['floor/nll']:.4g}" in text
        assert page("document.querySelectorAll('.plate img').length") == 1
        assert page.errors == []
        assert page.requests == []

    monkeypatch.setattr(planning, "CASES", planning.CASES[:1])
    code, out, _ = genexp("reproduce", "--into", "again")  # it was begun as a quick one, and goes on as one
    assert code == 0
    assert "finished already" in out
    assert (tmp_path / "again" / "double_gaussian" / "run.json").read_text() == record
    with chromium.open(tmp_path / "again" / "report.html", width=360, height=740) as page:
        assert page("document.documentElement.scrollWidth") == 360
        assert page.errors == []


def test_who_stops_one_case_stops_all(genexp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing after it is begun, and the line that goes on is printed."""
    begun = []

    def stopped(composed: Composed, run_dir: str) -> None:
        begun.append(run_dir)
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr("genexp.runs.experiment.run", stopped)
    code, out, _ = genexp("reproduce", "--quick", "--into", "again")
    assert code == 143
    assert len(begun) == 1
    assert "go on with: genexp reproduce --into again\n" in out
    words = ["--only", "double_gaussian,maf", "--out", "two of them.html"]
    _, out, _ = genexp("reproduce", "--quick", "--into", "in parts", *words)
    line = out.partition("go on with: genexp ")[2].splitlines()[0]
    assert shlex.split(line) == ["reproduce", "--into", "in parts", *words]  # and no others


def test_two_do_not_work_on_one_reproduction(genexp, few: None, tmp_path: Path) -> None:
    with alone_in(Path("again"), quick=True):
        code, _, err = genexp("reproduce", "--quick", "--into", "again")
    assert code == 2
    assert "again: another process is working on this reproduction" in err
    assert {path.name for path in Path("again").iterdir()} == {".lock", "reproduce.json"}
    with pytest.raises(UserError, match="another process has begun it with --quick"), alone_in(Path("again"), quick=False):
        pass
    (Path("again") / "reproduce.json").unlink()
    (one,) = plan(Path("again"), True, ["double_gaussian"])
    assert one.state == "to do"
    assert genexp("reproduce", "--plan", "--into", "again")[0] == 0  # stopped before it had begun: nothing of anybody else's


def test_a_run_that_another_process_works_on_keeps_its_folder(genexp, few: None, tmp_path: Path) -> None:
    """Also where it has saved nothing yet; afterwards it is moved aside, whole."""
    planned = plan(Path("again"), True, ["double_gaussian"])
    mine = RunFolder(Path("again/double_gaussian"))
    mine.path.mkdir(parents=True)
    with mine.lock():
        mine.update(status="running")
        assert "another process is working on this run" in carry_out(planned)["double_gaussian"]
    assert [path.name for path in Path("again").iterdir()] == ["double_gaussian"]
    mine.update(status="failed", error="of old")
    assert carry_out(planned) == {}
    (aside,) = Path("again/_aside").iterdir()
    assert read_run(aside)["error"] == "of old"
    assert read_run(mine.path)["status"] == "finished"


def test_how_a_run_stands_is_looked_up_when_it_is_its_turn(genexp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has finished since all was planned is not done again, and one that has saved something goes on."""
    planned = plan(Path("again"), True, ["double_gaussian", "mnist_vae"])
    assert [one.state for one in planned] == ["to do", "to do"]
    for one, status in zip(planned, ("finished", "interrupted"), strict=True):
        (one.path / "checkpoints").mkdir(parents=True)
        (one.path / "checkpoints" / "last.pt").touch()
        RunFolder(one.path).update(status=status)
    resumed: list[Path] = []
    monkeypatch.setattr("genexp.runs.experiment.run", lambda *_: pytest.fail("begun again"))
    monkeypatch.setattr("genexp.runs.experiment.resume", resumed.append)
    assert carry_out(planned) == {}
    assert resumed == [planned[1].path]
    assert not Path("again/_aside").exists()


@pytest.mark.parametrize(
    ("typed", "at_once"), [((), 1), (("--quick",), 2), (("--quick", "--jobs", "1"), 1), (("--jobs", "3"), 3)]
)
def test_so_many_are_done_at_once(genexp, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], at_once: int) -> None:
    """As many as are typed; else of a quick one two, where there are two cores: both then take half the time."""
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    asked: list[int] = []
    monkeypatch.setattr("genexp.reproduce.carry_out.carry_out", lambda planned, at_once: asked.append(at_once) or {})
    _, out, _ = genexp("reproduce", "--only", "double_gaussian", *typed)
    assert asked == [at_once]
    (one,) = plan(Path("x"), "--quick" in typed, ["double_gaussian"])
    assert f"about {duration(one.seconds / at_once)} on two free cores" in out


def test_the_plan_is_said_and_nothing_is_done(genexp, tmp_path: Path) -> None:
    code, out, _ = genexp("reproduce", "--plan")
    assert code == 0
    places = [out.index(f"\n  {case.name} ") for case in sorted(CASES, key=lambda case: case.seconds)]
    assert places == sorted(places)
    assert "about 2.4 hours" in out
    assert "fruit is not in" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (["--only", "mnist"], "unknown case 'mnist'"),
        (["--chapter", "flow"], "unknown chapter 'flow'; did you mean 'flows'?"),
        (["--chapter", "flows", "--only", "randu"], "of chapter flows no case is left to do"),
        (["--quick", "--only", "qr_coupling"], "qr_coupling is not part of --quick"),
        (["--into", "mine"], "--into mine: it is not empty, and no reproduction was begun in it"),
        (["--into", "mine/thesis.tex"], "--into mine/thesis.tex is not a folder"),
        (["--into", "mine/thesis.tex", "--plan"], "--into mine/thesis.tex is not a folder"),
        (["--into", "mine/thesis.tex/again", "--only", "qr_coupling"], "cannot make the folder mine/thesis.tex/again"),
    ],
)
def test_mistakes(genexp, tmp_path: Path, typed: list[str], error: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    code, _, err = genexp("reproduce", *typed)
    assert code == 2
    assert error in err
