"""Configurations: everything known, everything else refused with the nearest valid name."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from PIL import Image

from genexp.config import choices
from genexp.config.catalogue import CONF, KINDS, entries
from genexp.config.choices import _compose, _hydra
from genexp.config.composition import compose
from genexp.errors import UserError
from genexp.folder.records import flat
from genexp.registry import Registry, datasets, kinds, models
from genexp.settings import RunSettings

EXPERIMENTS = list(entries("experiments"))

MISTAKES = [
    # as typed, what the line must say
    ("trainer.lrr=1e-3", "did you mean 'trainer.lr'"),
    ("+trainer.lrr=1e-3", "did you mean 'trainer.lr'"),
    ("++model.field.widht=3", "did you mean 'model.field.width'"),
    ("model.dmi=4", "unknown key 'model.dmi'"),
    ("+model.dmi=4", "unknown key 'model.dmi'"),
    ("lr=1e-3", "did you mean 'trainer.lr'"),
    ("sed=3", "did you mean 'seed'"),
    ("dataset.txt=hello", "did you mean 'dataset.text'"),
    ("experiment=qr_flowmach", "did you mean 'qr_flowmatch'"),
    ("experiment=seminar/qr_flow", "did you mean 'seminar/qr_flowmatch'"),
    ("experiment=null", "a run needs a value of experiment"),
    ("dataset=qrr", "did you mean 'qr'"),
    ("model=flow_machting", "did you mean 'flow_matching'"),
    ("modle=flow_matching", "did you mean 'model'"),
    ("model/field=noise-aware", "did you mean 'noise_aware'"),
    ("model/solver=eular", "did you mean 'euler'"),
    ("device=gpu", "did you mean 'cuda'"),
    ("run_dir=", "run_dir=: string should have at least 1 character"),
    ("trainer.optimizer=sgd", "must be one of adam, adamw"),
    ("trainer.lr=fast", "trainer.lr=fast"),
    ("trainer.lr=-1", "greater than 0"),
    ("trainer.lr=0", "greater than 0"),
    ("trainer.lr=nan", "finite number"),
    ("trainer.lr=inf", "finite number"),
    ("trainer.lr=null", "trainer.lr=null"),
    ("trainer.lr=[1,2]", "trainer.lr=[1, 2]"),
    ("trainer.max_steps=1.5", "trainer.max_steps=1.5"),
    ("trainer.max_steps=-3", "greater than or equal to 0"),
    ("trainer.max_steps=true", "max_steps: true is not a number"),
    ("trainer.max_steps=null", "one of max_steps, max_epochs and max_seconds"),
    ("trainer.batch_size=0", "greater than or equal to 1"),
    ("trainer.compile=maybe", "boolean"),
    ("trainer.betas=[0.9]", "trainer.betas"),
    ("trainer.ema=1", "less than 1"),
    ("trainer=5", "unknown trainer '5'"),
    ("seed=1,2", "several values, for a sweep"),
    ("experiment=qr_flowmatch,qr_coupling", "several values, for a sweep"),
    ("seed=100000000000000000000", "less than"),
    ("model.solver.time_grid.grid_range=[1e-9,8]", "greater than or equal to"),
    ("trainer.lr.x=5", "unknown key 'trainer.lr.x'"),
    ("seed=-1", "greater than or equal to 0"),
    ("seed=one", "seed=one"),
    ("dataset.version=41", "less than or equal to 40"),
    ("dataset.error_correction=Z", "must be one of L, M, Q, H"),
    ("model.field.width=0", "greater than or equal to 1"),
    ("model.times.noise_range=[0,1]", "greater than or equal to"),
    ("figures.gif_frames=1", "greater than or equal to 2"),
    ("dataset.name=nothing", "unknown dataset 'nothing'"),
    ("model.name=qr", "unknown model 'qr'"),
    ("experiment=qr_flowmach", "did you mean 'qr_flowmatch'?"),
    ("experimnt=qr_flowmatch", "did you mean 'experiment'?"),
    ("~dataset.text", "cannot be deleted"),
    ("~dataset", "a run needs a value of dataset"),
    ("nonsense", "not of the form key=value"),
    ("double_gaussian", "hint: experiment=double_gaussian"),
    ("flow_matching", "hint: model=flow_matching"),
    ("experiment", "hint: without spaces: experiment=NAME"),
    ("=3", "not of the form"),
    ("model.times.noise_range=[1", "a bracket is not closed"),
    ("evaluation.density_at=2", "a list is meant, in brackets: [2]"),
    ("evaluation.anomalies=black", "a list is meant, in brackets: [black]"),
    ("trainer.lr=1=2", "cannot read the value of 'trainer.lr'"),
    ("model.field.width='unfinished", "cannot read the value"),
    ("model.times.noise_range=[1,2", "cannot read the value"),
    ("trainer.lr=${nope}", "nope"),
    ("_target_=os.system", "unknown key '_target_'"),
    ("model/posterior=iaf", "model=flow_matching has no part 'posterior'"),
    ("model.features=random", "model.features is model/field=random now"),
    ("model.features=none", "model.features is model/field=plain now"),
    ("model.damping=1", "model.damping is model.field.damping (of model/field=noise_aware or feature_grid) now"),
    ("model.solver=euler", "model.solver is a part, which is chosen by name: model/solver=euler"),
    ("model.time_sampling=uniform", "model.time_sampling is model/times=uniform now"),
    ("model.time_grid=power", "model.time_grid is model/solver/time_grid=power now"),
    ("model.grid_power=3", "model.grid_power is model.solver.time_grid.power (of model/solver/time_grid=power) now"),
    ("+model._target_=os.system", "unknown key 'model._target_'"),
]


@pytest.mark.parametrize(("typed", "words"), MISTAKES, ids=[typed for typed, _ in MISTAKES])
def test_mistakes_are_refused_in_one_line(typed: str, words: str) -> None:
    with pytest.raises(UserError) as mistake:
        compose([typed])
    assert words in str(mistake.value)
    assert "\n" not in mistake.value.message


VAE_MISTAKES = [
    ("model.posterior=iaf", "model.posterior is a part, which is chosen by name: model/posterior=iaf"),
    ("model.posterior.name=iaf", "model/posterior=iaf"),
    ("model/posterior=iaff", "did you mean 'iaf'"),
    ("model/posteriour=iaf", "did you mean 'model/posterior'"),
    ("model/posterior=../vae", "unknown model/posterior"),
    ("~model/posterior", "a run needs a value of model/posterior"),
    ("model/prior/transformer=spline", "has no part 'prior/transformer'"),
    ("model.posterior.blocks=3", "unknown key 'model.posterior.blocks'"),
    ("model.objective.bta=3", "did you mean 'model.objective.beta'"),
    ("model.objective.beta=-1", "model.objective.beta=-1: "),
    ("model.network.initialisation=linear", "model.network.initialisation=linear: must be one of random, mean"),
    ("model.iaf_blocks=3", "model.iaf_blocks is model.posterior.blocks (of model/posterior=iaf) now"),
    ("model.importance_samples=5", "model.importance_samples is model.objective.k (of model/objective=iwae) now"),
    ("model.sampling=through_flow", "model.sampling is model/prior=through_flow now"),
    ("model.network.start=random", "model.network.start is model.network.initialisation now"),
    ("model=lattice_decoder", "model=lattice_decoder is model=gtm now"),
    ("experiment=mnist_lattice", "experiment=mnist_lattice is experiment=mnist_gtm now"),
    ("model.start=random", "model.start is model.network.initialisation now"),
]


@pytest.mark.parametrize(("typed", "words"), VAE_MISTAKES, ids=[typed for typed, _ in VAE_MISTAKES])
def test_mistakes_with_parts_are_refused_in_one_line(typed: str, words: str) -> None:
    with pytest.raises(UserError) as mistake:
        compose(["model=vae", typed])
    assert words in mistake.value.message
    assert "\n" not in mistake.value.message


def test_an_experiment_of_an_earlier_version_is_answered_with_todays_keys(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    for body, words in {
        "model: {posterior: iaf}": "model.posterior is model/posterior=iaf now",
        "model: {prior_components: 4}": "model.prior_components is model.prior.components (of model/prior=mixture) now",
    }.items():
        text = f"# @package _global_\n# mine\ndefaults:\n  - override /model: vae\n\n{body}\n"
        (tmp_path / "experiment" / "mine.yaml").write_text(text)
        with pytest.raises(UserError, match=re.escape(words)):
            compose(["experiment=mine"], [tmp_path])


def test_a_choice_brings_its_own_keys_and_no_others() -> None:
    """Of what an experiment set for its own choice nothing is left; parts of parts are chosen where they are."""
    settings = compose(["experiment=fruit_vae_iaf", "model/likelihood=bernoulli", "model/network=mlp"]).settings.model
    assert settings["likelihood"] == {"name": "bernoulli"}
    assert "components" not in settings["network"]
    assert compose(["experiment=fruit_vae_iaf", "model/likelihood=logistic"]).settings.model["likelihood"]["sigma"] == 0.05
    words = ["model=vae", "model/prior/transformer=spline", "model/prior=flow", "model.prior.transformer.bins=9"]
    prior = compose(words).settings.model["prior"]
    assert prior["transformer"] == {"name": "spline", "bins": 9, "bound": 5.0}
    assert prior["conditioner"]["width"] == 128
    assert compose(["model=vae", "model/prior=flow"]).settings.model["prior"]["transformer"]["log_scale_bound"] == 3.0


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment: str) -> None:
    settings = compose([f"experiment={experiment}"]).settings
    assert settings.experiment == ("flow_matching_qr" if experiment == "any" else experiment)


def test_overrides_arrive() -> None:
    settings = compose(["trainer.max_steps=1e4", "trainer.lr=3e-4", "dataset.text=12345", "seed=7", "run_dir=here"]).settings
    assert settings.trainer.max_steps == 10_000
    assert settings.trainer.lr == 3e-4
    assert settings.dataset["text"] == "12345"
    assert (settings.seed, settings.run_dir) == (7, "here")
    assert compose(["dataset.text='a=b, c'"]).settings.dataset["text"] == "a=b, c"
    assert compose(["trainer.max_steps=null", "trainer.max_seconds=5"]).settings.trainer.max_seconds == 5


def test_the_data_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEXP_DATA", "/somewhere")
    assert compose([]).settings.data_dir == "/somewhere"
    monkeypatch.delenv("GENEXP_DATA")
    assert compose([]).settings.data_dir == "data"


COMPONENTS = [("dataset", datasets), ("model", models), *((f"model/{kind.kind}", kind) for kind in kinds.values())]


@pytest.mark.parametrize(("group", "registry"), COMPONENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_yaml_and_constructor_say_the_same(group: str, registry: Registry[Any]) -> None:
    """A component's YAML lists every key of its constructor, with the same default, and is named like it; its parts by the same
    names, in its `defaults:` list.
    """
    files = {path.stem: path for path in (CONF / group).glob("*.yaml")}
    own = {name for name in registry.names() if registry[name].__module__.startswith("genexp.")}  # not the README's examples
    assert set(files) == own
    with _hydra([]):  # all of them at once, each in a place of its own: one by one takes ten times as long
        every = OmegaConf.to_container(_compose([f"+{group}@every.{name}={name}" for name in files], [])["every"])
    for name, path in files.items():
        stated = every[name]
        assert registry.validate(stated) == registry.validate({"name": name}), path
        assert flat(stated).keys() == flat(registry.validate({"name": name})).keys(), path


def test_the_configuration_lists_every_key_of_the_schema() -> None:
    whole = yaml.safe_load((CONF / "config.yaml").read_text())
    trainer = yaml.safe_load((CONF / "trainer" / "default.yaml").read_text())
    fields = RunSettings.model_fields
    assert set(trainer) == set(fields["trainer"].annotation.model_fields)
    assert set(whole["evaluation"]) == set(fields["evaluation"].annotation.model_fields)
    assert set(whole["figures"]) == set(fields["figures"].annotation.model_fields)


@pytest.mark.parametrize("registry", [datasets, models, *kinds.values()], ids=lambda registry: registry.kind)
def test_every_key_is_documented(registry: Registry[Any]) -> None:
    """Prose stands in one place: the Args of the docstring."""
    for name in registry.names():
        documentation = inspect.getdoc(registry[name]) or ""
        for key in registry.schema(name).model_fields:
            assert key == "name" or f"{key}:" in documentation or f"{key}," in documentation or f"`{key}`" in documentation, (
                name,
                key,
            )


def test_every_yaml_describes_itself() -> None:
    for kind in KINDS:
        for name, description in entries(kind).items():
            assert 10 < len(description) <= 130, name


def test_a_users_own_folder_is_added(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\n# my own\ndataset: {text: mine}\nseed: 5\n")
    settings = compose(["experiment=mine", "trainer.max_steps=3"], [tmp_path]).settings
    assert (settings.dataset["text"], settings.seed, settings.trainer.max_steps) == ("mine", 5, 3)
    with pytest.raises(UserError, match="no such folder"):
        compose([], [tmp_path / "absent"])
    with pytest.raises(UserError, match="unknown experiment 'mine'"):
        compose(["experiment=mine"])


def test_what_an_experiment_sets_for_its_own_member_goes_with_that() -> None:
    assert (
        compose(["experiment=box_muller", "dataset=two_moons"]).settings.dataset
        == compose(["dataset=two_moons"]).settings.dataset
    )
    assert "components" not in compose(["experiment=gmm", "model=maf"]).settings.model
    assert compose(["experiment=box_muller", "dataset=normal"]).settings.dataset["correlation"] == 0.0


def test_what_is_no_experiment_is_filed_under_its_model_and_data() -> None:
    assert compose(["dataset.text=mine"]).settings.experiment == "qr_flowmatch"
    assert compose(["model=nice", "dataset=rings"]).settings.experiment == "nice_rings"
    assert compose(["model=nice", "dataset=rings", "experiment=double_gaussian"]).settings.experiment == "double_gaussian"


@pytest.mark.parametrize("words", ["model=flow_matching", "dataset=qr dataset.version=3", "model.field.width=8"])
def test_what_the_default_run_has_anyway_does_not_change_its_design(words: str) -> None:
    settings = compose(words.split()).settings
    assert (settings.experiment, settings.model["field"]["name"]) == ("qr_flowmatch", "feature_grid")


@pytest.mark.parametrize("words", ["dataset=rings", "model=vae dataset=glyphs", "model=diffusion"])
def test_another_model_or_data_set_takes_no_part_of_the_default_run(words: str) -> None:
    settings = compose(words.split()).settings
    assert settings.experiment == f"{settings.model['name']}_{settings.dataset['name']}"
    assert settings.trainer == compose(["experiment=any"]).settings.trainer
    assert "counted" not in str(settings.model)


def test_numbers_follow_from_how_fine_the_data_are(tmp_path: Path) -> None:
    """Of version v 17 + 4v modules a side and 8 of the quiet zone, in units of 33; what is typed stays."""
    usual, fine, small = (compose([f"dataset.version={v}", "dataset.text=x"]).settings for v in (2, 25, 1))
    assert (usual.trainer.batch_size, usual.model["field"]["side"], usual.evaluation.num_samples) == (1024, 192, 60_000)
    assert small.trainer == usual.trainer
    assert (usual.trainer.max_steps, fine.trainer.max_steps) == (5000, 2700)  # the most and the least
    assert compose(["dataset.version=10"]).settings.trainer.max_steps == round(6000 * (33 / 65) ** 0.6)
    assert compose(["dataset.version=6"]).settings.model["target"]["first_look"] == round(1e6 * (49 / 33) ** 2)
    assert fine.trainer.batch_size == round(1024 * (125 / 33) ** 1.2)
    assert fine.model["field"]["side"] == round(192 * 125 / 33)
    assert fine.model["target"]["side"] == round(1024 * 125 / 33)
    assert compose(["dataset.version=40"]).settings.model["target"]["side"] == 4096  # the most
    assert fine.model["times"]["noise_range"] == pytest.approx((3e-4, 0.71 * 33 / 125), rel=5e-3)
    assert fine.model["solver"]["time_grid"]["grid_range"] == pytest.approx((3e-3 * 33 / 125, 8.0), rel=5e-3)
    assert (usual.trainer.threads, fine.trainer.threads) == (1, 2)
    assert fine.evaluation.num_samples == round(60_000 * (125 / 33) ** 1.35)
    own = compose(["dataset.version=25", "trainer.batch_size=7", "model.times.noise_range=[1e-3,.2]"]).settings
    assert (own.trainer.batch_size, own.model["times"]["noise_range"]) == (7, (1e-3, 0.2))
    picture = tmp_path / "disc.png"
    Image.fromarray(np.where(np.hypot(*np.mgrid[-64:64, -64:64]) < 50, 0, 255).astype(np.uint8)).save(picture)
    for words in ([f"dataset.image={picture}"], ["dataset.image=disc.png", f"data_dir={tmp_path}"]):
        assert compose([*words, "dataset.raster=66"]).settings.trainer.batch_size == 1024
        assert compose([*words, "dataset.raster=99"]).settings.trainer.batch_size == round(
            1024 * 1.5**1.2
        )  # two of its cells as one module


def test_numbers_of_data_that_are_no_cells_stay_and_a_missing_picture_is_no_mistake_here() -> None:
    for words in (["experiment=qr_flowmatch", "dataset=two_moons"], ["dataset.image=missing.png"]):
        assert compose(words).settings.trainer.batch_size == 1024


def test_hydra_is_asked_again_only_for_what_is_in_a_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    by_hydra = choices._by_hydra
    monkeypatch.setattr(choices, "_by_hydra", lambda overrides: asked.append([*overrides]) or by_hydra(overrides))
    mine = tmp_path / "model" / "bijection" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    words = ["experiment=double_gaussian", "model=flow", "model/bijection=mine"]
    for depth in (4, 7):
        mine.write_text(f"name: coupling\ndepth: {depth}\n")
        assert choices.composed(words, [tmp_path]).model.bijection.depth == depth
    assert [each[0] for each in asked[-2:]] == ["+model/bijection@alone=mine"] * 2
    asked.clear()
    choices.composed(words[:2], [tmp_path])
    assert asked == []
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "two_moons.yaml").write_text("name: rings\n")  # of the package's name, which comes first
    assert choices.composed(["dataset=two_moons"], [tmp_path]).dataset.name == "two_moons"
