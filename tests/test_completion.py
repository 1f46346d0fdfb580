"""What Tab makes of a line: candidates, and the real shells that ask for them."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from genexp.completion.outline import _member_keys, run_keys
from genexp.completion.words import SWEEP, candidates, split, trimmed
from genexp.config import catalogue
from genexp.config.composition import compose
from genexp.folder.records import flat
from genexp.registry import datasets, kinds, models
from genexp.settings import EvaluationSettings, FigureSettings, RunSettings, TrainerSettings

ROOT = Path(__file__).parent.parent
BREAKS = " \t\n\"'><=;|&(:"


def offered(line: str) -> list[str]:
    return [word.strip() for word in candidates(line)]


def test_commands_options_and_choices() -> None:
    assert "run" in offered("genexp ")
    assert "complete" not in offered("genexp ")
    assert offered("genexp comp") == ["compare", "completion"]
    assert "--multirun" in offered("genexp run --m")
    assert offered("genexp list ") == ["experiments", "datasets", "models", "parts"]
    assert offered("genexp completion z") == ["zsh"]
    assert offered("genexp data f") == ["fetch"]
    assert offered("genexp data fetch fr") == ["fruit"]
    assert offered("genexp data fetch fruit --m") == ["--mirror"]
    assert offered("genexp nonsense ") == []


def test_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("genexp resume ") == []
    for name in ("fruit/a1", "fruit/a2", "qr/b", "sweeps/s/0", "sweeps/t/0"):
        (tmp_path / "outputs" / name).mkdir(parents=True)
        (tmp_path / "outputs" / name / "run.json").write_text("{}")
    assert offered("genexp resume ") == ["latest", "a1", "a2", "b"]  # both runs called 0 need their paths
    assert offered("genexp resume a") == ["a1", "a2"]
    assert offered("genexp compare a1 a") == ["a1", "a2"]
    assert offered("genexp resume a1 trainer.max_s") == ["trainer.max_steps=", "trainer.max_seconds="]
    assert offered("genexp resume a1 mod") == []  # a run that goes on keeps its model
    assert offered("genexp evaluate a1 ") == ["data_dir=", "evaluation."]  # and one that is measured again also what it learnt by


@pytest.mark.parametrize(
    "name", ["x;touch PWNED", "$(touch PWNED)", "`touch PWNED`", "a b", "a\nb", "-m", "~", "a|b", "a'b", "!1"]
)
def test_names_that_a_shell_would_obey_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for run in (name, "plain_1-b.c=d+日本"):
        (tmp_path / "outputs" / "qr" / run).mkdir(parents=True)
        (tmp_path / "outputs" / "qr" / run / "run.json").write_text("{}")
    assert candidates("genexp resume ") == ["latest ", "plain_1-b.c=d+日本 "]


def test_keys_step_by_step() -> None:
    first = candidates("genexp run ")
    assert {"experiment=", "dataset=", "model=", "trainer.", "figures.", "seed="} <= {*first}
    assert not any(word.endswith(" ") for word in first)  # a key is not yet a word
    assert "trainer.max_steps=" in offered("genexp run trainer.")
    assert offered("genexp run seed=1 trainer.eval_s") == ["trainer.eval_size="]
    assert offered("genexp run evaluation.q") == ["evaluation.quadrature_side="]
    assert offered("genexp run ev") == offered("genexp run evaluation.")  # there is but one way on
    assert offered("genexp run hyd") == []


def test_values() -> None:
    assert candidates("genexp run experiment=seminar/m") == ["experiment=seminar/mnist_vae "]
    assert offered("genexp run dataset=q") == ["dataset=qr"]
    assert offered("genexp run trainer.schedule=") == [
        f"trainer.schedule={x}" for x in ("constant", "linear", "cosine", "one_cycle")
    ]
    assert offered("genexp run trainer.compile=t") == ["trainer.compile=true"]
    assert offered("genexp run device=c") == ["device=cpu", "device=cuda"]
    assert offered("genexp run trainer.lr=") == []
    assert offered("genexp run trainer.lrr=") == []


def test_the_model_and_the_data_already_typed_decide_their_keys() -> None:
    assert "model/solver=" in offered("genexp run model")
    assert "model.solver.evaluations=" in offered("genexp run model.solver.")
    assert "model/prior=" in offered("genexp run experiment=mnist_vae model")
    assert "model/prior=" not in offered("genexp run model")
    assert "dataset.rotate=" in offered("genexp run experiment=fruit_vae dataset.")
    assert "dataset.text=" in offered("genexp run experiment=fruit_vae dataset=qr dataset.")
    assert "model/prior=" in offered("genexp run experiment=nonsense model=vae model")


def test_parts_and_the_keys_of_the_ones_chosen() -> None:
    assert offered("genexp run model=vae model/posterior=i") == ["model/posterior=iaf"]
    assert offered("genexp run model=vae model.posterior.") == []
    keys = [f"model.posterior.{key}=" for key in ("blocks", "width", "context")]
    assert offered("genexp run model=vae model/posterior=iaf model.posterior.") == keys
    assert offered("genexp run experiment=fruit_vae_iaf model.posterior.") == keys
    assert offered("genexp run -m model=vae model/posterior=gaussian,iaf model.posterior.") == keys
    assert offered("genexp run model=vae model/prior=flow model/prior/transformer=s") == ["model/prior/transformer=spline"]
    line = "genexp run model=vae model/prior=flow model/prior/transformer=spline model.prior.transformer."
    assert offered(line) == ["model.prior.transformer.bins=", "model.prior.transformer.bound="]


def test_lists_of_a_sweep() -> None:
    assert candidates("genexp run -m dataset=mnist,fas") == ["dataset=mnist,fashion_mnist"]
    assert "experiment=mnist_vae,mnist_vae" not in candidates("genexp run -m experiment=mnist_vae,")
    assert candidates("genexp run dataset=mnist,fas") == []
    assert {"model.latent=", "model.depth="} <= {*offered("genexp run -m model=vae,coupling_flow model.")}


def test_the_keys_of_a_sweep_itself() -> None:
    from genexp.sweep.launchers import LAUNCHERS
    from genexp.sweep.plan import SweepSettings

    fields = {f"sweep.{key}": choices(field.annotation) for key, field in SweepSettings.model_fields.items()}
    assert {"hydra/launcher": tuple(LAUNCHERS), **fields} == {**SWEEP}
    assert offered("genexp run -m hydra/launcher=j") == ["hydra/launcher=joblib"]
    assert offered("genexp run hydra/launcher=j") == []
    assert offered("genexp run -m seed=0,1 sweep.s") == ["sweep.skip_finished="]


def test_the_users_own_files_count(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# mine\nname: mine\ncolour: red   # red | green, by taste\ndeep:\n  er: 1\n")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "base.yaml").write_text("defaults:\n  - override /model: mine\n\nseed: 1\n")
    (tmp_path / "experiment" / "child.yaml").write_text("defaults:\n  - base\n  - _self_\n")
    line = f"genexp run --config-dir {tmp_path} "
    assert offered(f"{line}model=mi") == ["model=mine"]
    assert offered(f"{line}experiment=child model.") == ["model.name=", "model.colour=", "model.deep."]
    assert offered("genexp run --config-dir ~nobody-is-called-so experiment=double_g")  # of genexp's own
    assert offered(f"{line}model=mine model.d") == ["model.deep.er="]
    assert offered(f"{line}model=mine model.colour=") == ["model.colour=red", "model.colour=green"]


@pytest.mark.parametrize("experiment", catalogue.entries("experiments"))
def test_the_keys_offered_are_those_of_the_configuration(experiment: str) -> None:
    settings = compose([f"experiment={experiment}"]).settings.model_dump()
    known = {name for name, value in settings.items() if not isinstance(value, dict)} - {"experiment"}
    known |= {*flat({name: value for name, value in settings.items() if isinstance(value, dict)})}
    parts = {key for key in known if key.startswith("model.") and key.count(".") > 1 and key.endswith(".name")}
    places = {key.removesuffix(".name").replace(".", "/") for key in parts}
    assert {*run_keys({"experiment": [experiment]})} == known - parts | places


def choices(annotation: Any) -> tuple[str, ...]:
    """The values that an annotation lists: those of a Literal, of a bool, or of several of these."""
    several = [choices(each) for each in get_args(annotation)] if get_origin(annotation) in (Union, UnionType) else []
    if several and all(several):
        return tuple(word for words in several for word in words)
    if annotation is bool:
        return ("true", "false")
    return tuple(map(str, get_args(annotation))) if get_origin(annotation) is Literal else ()


def test_the_choices_offered_are_those_of_the_schemas() -> None:
    """They come from comments in the YAML files; this keeps the comments true."""
    sections = {"trainer": TrainerSettings, "evaluation": EvaluationSettings, "figures": FigureSettings}
    expected = {
        f"{name}.{key}": choices(field.annotation) for name, one in sections.items() for key, field in one.model_fields.items()
    }
    expected["device"] = choices(RunSettings.model_fields["device"].annotation)
    groups = [("dataset", datasets), ("model", models), *((f"model/{kind.kind}", kind) for kind in kinds.values())]
    for group, registry in groups:
        for name in catalogue.options(group):
            keys = _member_keys(group, group, name, {}, ())
            section, parts = group.replace("/", "."), registry.parts(name)
            fields = {key: field for key, field in registry.schema(name).model_fields.items() if key not in parts}
            assert {part: {*keys[f"{group}/{part}"]} for part in parts} == {part: {*kind.names()} for part, kind in parts.items()}
            assert {key: {*keys[f"{section}.{key}"]} for key in fields if key != "name"} == {
                key: {*choices(field.annotation)} for key, field in fields.items() if key != "name"
            }, name
    keys = run_keys({})
    assert {key: {*keys[key]} for key in expected} == {key: {*values} for key, values in expected.items()}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("genexp ", ["genexp", ""]),
        ("genexp  run  a=b", ["genexp", "run", "a=b"]),
        ("genexp run 'a=b c' d", ["genexp", "run", "a=b c", "d"]),
        ('genexp run "a=b', ["genexp", "run", "a=b"]),
        ("genexp run a\\ b '' ", ["genexp", "run", "a b", "", ""]),
    ],
)
def test_unfinished_lines_are_split(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_readline_replaces_only_what_follows_a_break() -> None:
    line = "genexp run -m experiment=mnist_vae,qr_c"
    assert trimmed(candidates(line), line, BREAKS) == ["mnist_vae,qr_coupling"]
    assert trimmed(candidates(line), line, " \t\n") == ["experiment=mnist_vae,qr_coupling"]


# --- the shells --------------------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A `genexp` that completes as the real one does, and otherwise only says what it was called with."""
    path = tmp_path / "bin" / "genexp"
    path.parent.mkdir()
    python = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m genexp"
    path.write_text(f'#!/bin/sh\ncase "$1" in complet*) {python} "$@";; esac\necho "GOT<$*>"\n')
    path.chmod(0o755)
    return path


CASES = {
    "run experiment=seminar/mn": "seminar/mnist_vae",
    "run -m experiment=mnist_vae,qr_c": "mnist_vae,qr_coupling",
    "run trainer.sched": "trainer.schedule=",
    "run experiment=mnist_vae model/posterior=i": "iaf",
    "comple": "completion",
    "run --multi": "--multirun",
}


def test_bash_gets_its_answers(program: Path, tmp_path: Path) -> None:
    """The function as bash calls it: the line split at `=` and `:` too, the reply without what stands before them."""
    script = [f'eval "$({program} completion bash)"', "set -u"]
    for line in CASES:
        words = f"genexp {line}".replace("=", " = ").split()
        words[0] = str(program)
        script += [
            f"COMP_LINE='genexp {line} and more' COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}",
            f"COMP_POINT={len(f'genexp {line}')} COMP_WORDBREAKS=$' \\t\\n\"><=;|&(:'",
            "_genexp",
            'printf "%s;" "${COMPREPLY[@]}"; echo',
        ]
    script += ["complete -p genexp"]
    answer = subprocess.run(["bash", "--norc", "-c", "\n".join(script)], capture_output=True, text=True, cwd=tmp_path, check=True)
    *replies, registered = answer.stdout.splitlines()
    assert [reply.rstrip(";").strip() for reply in replies] == [*CASES.values()]
    assert answer.stderr == ""
    assert "-F _genexp genexp" in registered


def typed_into(shell: list[str], setup: str, lines: list[str], program: Path, folder: Path) -> list[str]:
    """What an interactive shell calls the program with when `lines` are typed, Tabs and all."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb", "PS1": "$ "}
        os.chdir(folder)
        os.execve(shutil.which(shell[0]) or shell[0], shell, environment)
    seen, got, until = "", list[str](), time.monotonic() + 60
    try:
        for line in ["echo READY", setup, "echo READY", *lines]:
            os.write(terminal, f"{line}\n".encode())
            mark = "\nREADY" if line == "echo READY" else "\nGOT<" if line in lines else None
            seen = ""
            while mark and mark not in seen.replace("\r", "\n"):
                if not select.select([terminal], [], [], until - time.monotonic())[0]:
                    raise AssertionError(f"{line!r} led to nothing: {seen!r}")
                seen += os.read(terminal, 4096).decode(errors="replace")
            if line in lines:
                while ">" not in seen.split("GOT<")[-1]:
                    seen += os.read(terminal, 4096).decode(errors="replace")
                got.append(seen.split("GOT<")[-1].split(">")[0])
    finally:
        os.kill(child, 9)
        os.close(terminal)
        os.waitpid(child, 0)
    return got


TYPED = {
    "genexp run experiment=seminar/mn\t": "run experiment=seminar/mnist_vae",
    "genexp run trainer.sched\tone\t seed=1": "run trainer.schedule=one_cycle seed=1",
    "genexp run -m dataset=mnist,fas\t,glyp\t": "run -m dataset=mnist,fashion_mnist,glyphs",
    "genexp resume run-w\t": "resume run-with-id",
    "genexp run dataset.image=pict\t": "run dataset.image=picture.png",
    "genexp run --config-dir own\t": "run --config-dir own_conf",
}


@pytest.mark.parametrize(
    ("shell", "setup"),
    [
        (["bash", "--norc", "-i"], 'eval "$(genexp completion bash)"'),
        (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -D -u; eval "$(genexp completion zsh)"'),
    ],
    ids=["bash", "zsh"],
)
def test_tab_in_a_real_shell(program: Path, tmp_path: Path, shell: list[str], setup: str) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} on this machine")
    (tmp_path / "outputs" / "x" / "run-with-id").mkdir(parents=True)
    (tmp_path / "outputs" / "x" / "run-with-id" / "run.json").write_text("{}")
    (tmp_path / "picture.png").write_text("")
    (tmp_path / "own_conf").mkdir()
    assert [line.strip().rstrip("/") for line in typed_into(shell, setup, [*TYPED], program, tmp_path)] == [*TYPED.values()]


def test_the_script_is_printed_for_each_shell_there_is(genexp) -> None:
    assert "complete -o nospace" in genexp("completion", "bash")[1]
    assert "compdef _genexp genexp" in genexp("completion", "zsh")[1]
    code, _, err = genexp("completion", "fish")
    assert code == 2
    assert "bash, zsh" in err
    assert "complete LINE" not in genexp("--help")[1]
