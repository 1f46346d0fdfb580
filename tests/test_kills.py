"""`kill -9` at any instant: a run can go on from its folder and ends as if nothing had happened, or had saved nothing yet."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from genexp.folder import checkpoint
from tests.forking import Ended, Forks
from tests.parts import arrays
from tests.subjects import timeless
from tests.test_trainer import assert_same_state

SMALL = [
    *("trainer.max_steps=10", "trainer.batch_size=16", "trainer.log_every=1", "trainer.eval_every=4", "trainer.eval_size=32"),
    *("trainer.checkpoint_every=3", "evaluation.num_samples=100", "evaluation.num_points=64", "evaluation.ode_points=4"),
    *("evaluation.importance_samples=2", "evaluation.quadrature_side=4", "figures.log_density_side=2", "figures.manifold_side=2"),
    *("figures.gif_points=10", "figures.gif_frames=2", "figures.gif_size=64", "evaluation.classifier_steps=2"),
]
PICTURES = "dataset.count=60 dataset.validation=20 dataset.test=20 dataset.size=16"
FAMILIES = {
    "flow_matching": "model.field.width=16 dataset.text=x model.solver.evaluations=2",
    "coupling_flow": "experiment=double_gaussian model.conditioner.width=8 model.transformer.bins=4",
    "vae": f"experiment=glyphs_vae {PICTURES} model.network.encoder_widths=[16] model.network.decoder_widths=[16]",
    "vae_iaf_mixture": f"experiment=drawn_fruit_vae_iaf {PICTURES} "
    "model.network.encoder_widths=[16] model.network.decoder_widths=[16] "
    "model.network.components=8 model.latent=3 model.posterior.width=8 model.posterior.context=8 model.prior.components=2",
    "gtm": f"experiment=mnist_gtm dataset=glyphs {PICTURES} model.decoder_widths=[16] model.side=4 model.inference_side=6",
}
TIMES = ("seconds", "cpu_seconds", "samples_per_second")  # of a line of the history
KILLS = 200  # of each family
NOTHING = "nothing had been saved"


@dataclass
class Victim:
    """One small experiment, the folder of its run that nobody disturbs, and how that went."""

    forks: Forks
    words: list[str]
    place: Path
    whole: Path
    ended: Ended

    @classmethod
    def of(cls, forks: Forks, family: str, place: Path, sketchy: bool) -> "Victim":
        words = [*FAMILIES[family].split(), *SMALL]
        ended = forks(place, ["run", *words, "run_dir=whole"], sketchy=sketchy)
        assert ended.code == 0, ended.output
        return cls(forks, words, place, place / "whole", ended)

    def killed(self, name: str, **when: Any) -> Path:
        """A new run, killed; what is left is whole."""
        shutil.rmtree(self.place / name, ignore_errors=True)
        ended = self.forks(self.place, ["run", *self.words, f"run_dir={name}"], **when)
        assert ended.code in (-9, 0), ended.output
        assert_nothing_is_half(self.place / name)
        return self.place / name

    def goes_on(self, run: Path, **options: Any) -> bool:
        """`genexp resume`: ends like the undisturbed run; False where nothing had been saved, and it says so."""
        saved = (run / "checkpoints" / "last.pt").exists()
        ended = self.forks(self.place, ["resume", run.name], **options)
        if not saved:
            assert ended.code == 2, ended.output
            assert (NOTHING if run.exists() else "no run") in ended.output
            assert ended.output.startswith("error: ")
            return False
        assert ended.code == 0, ended.output
        assert_nothing_is_half(run)
        assert_same_run(self.whole, run)
        return True


def assert_nothing_is_half(run: Path) -> None:
    """Every file under its own name is whole; of the two that are appended to, every line but the last."""
    for path in run.rglob("*") if run.exists() else ():
        if path.name.endswith(".tmp") or path.is_dir():
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".yaml":
            assert "overrides" in yaml.safe_load(path.read_text())
        elif path.suffix == ".pt":
            checkpoint.load(path)
        elif path.suffix == ".npz":
            assert all(np.isfinite(array).all() for array in arrays(path).values())
        elif path.suffix in (".png", ".gif"):
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
            seen = [(line["step"], "heldout/loss" in line) for line in lines]
            assert seen == sorted(set(seen))
        else:
            assert path.name == "log.txt", path


def assert_same_run(whole: Path, run: Path) -> None:
    """The same files, weights, random states, metrics, samples and history; only times may differ."""
    names = [sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) for folder in (whole, run)]
    assert names[0] == names[1]
    for name in ("last.pt", "best.pt"):
        assert_same_state(*(checkpoint.load(folder / "checkpoints" / name) for folder in (whole, run)))
    metrics = [timeless(json.loads((folder / "metrics.json").read_text())) for folder in (whole, run)]
    assert metrics[0] == metrics[1]
    histories = [(folder / "history.jsonl").read_text() for folder in (whole, run)]
    assert histories[1].endswith("\n")
    lines = [[without_times(json.loads(line)) for line in text.splitlines()] for text in histories]
    assert lines[0] == lines[1]
    samples = [arrays(folder / "samples" / "samples.npz") for folder in (whole, run)]
    assert {name: array.tolist() for name, array in samples[0].items()} == {n: a.tolist() for n, a in samples[1].items()}
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert all(line.isprintable() for line in (run / "log.txt").read_text().splitlines())


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in TIMES}


def test_killed_at_any_change_of_the_disk(forks: Forks, tmp_path: Path) -> None:
    """A few of the changes that a run makes to its folder, each in turn its last. (All of them: make test-slow.)"""
    victim = Victim.of(forks, "flow_matching", tmp_path, sketchy=True)
    went_on = [
        victim.goes_on(victim.killed(f"run{k}", die_at=k, sketchy=True), sketchy=True) for k in range(5, victim.ended.events, 100)
    ]
    assert went_on == sorted(went_on)  # from the first checkpoint on, always
    assert 0 < sum(went_on) < len(went_on)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_two_hundred_kills_of_each_family(forks: Forks, tmp_path: Path, family: str) -> None:
    """At changes of the disk and at random instants in turn; most are killed again as they go on, some many times over."""
    victim = Victim.of(forks, family, tmp_path, sketchy=True)
    chance = random.Random(family)
    events = chance.sample(range(victim.ended.events), victim.ended.events)
    kills = 0

    def when() -> dict[str, Any]:
        nonlocal kills
        kills += 1
        at_event = kills % 2 and events
        return {"die_at": events.pop()} if at_event else {"die_after": chance.uniform(0, victim.ended.seconds)}

    while kills < KILLS:
        run = victim.killed(f"run{kills}", **when(), sketchy=True)
        while chance.random() < 0.65 and (run / "checkpoints" / "last.pt").exists():
            ended = forks(tmp_path, ["resume", run.name], **when(), sketchy=True)
            assert ended.code in (-9, 0), ended.output
            assert_nothing_is_half(run)
        went_on = victim.goes_on(run, sketchy=True)
        shutil.rmtree(run, ignore_errors=True)
        print(f"{family}: {kills} kills; {'went on' if went_on else 'nothing had been saved'}", flush=True)
