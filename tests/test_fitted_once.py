"""Posteriors that are fitted are functions of x, are found once for each example, and are what pictures are mixed by."""

import importlib
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from genexp.config.composition import Composed, compose
from genexp.data.base import Batch, DataSpec
from genexp.folder.run_folder import RunFolder
from genexp.latent.memory import Memory, keys_of
from genexp.latent.semi_amortised import SemiAmortisedPosterior, mirrored_noise
from genexp.models.vae import VAE
from genexp.pictures.latent import corners, mixed, walk
from genexp.runs.evaluation import evaluate
from genexp.runs.experiment import build, run
from genexp.runs.rehearsal import rehearse
from genexp.runs.results import keep, measure
from genexp.subject import Subject
from tests.conftest import small_parts
from tests.parts import vae
from tests.subjects import taken, timeless

SHAPE = (3, 8, 8)
FITTED = {"name": "semi_amortised", "steps": 4, "rate": 0.1}


def fitted_vae(**keys) -> VAE:
    torch.manual_seed(0)
    model = vae(DataSpec(SHAPE, ("a", "b")), likelihood="gaussian", posterior=FITTED, latent=3, **keys)
    model.initialise(Batch(torch.rand(20, *SHAPE), torch.arange(20) % 2))
    return model.eval()


def fits(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """By example: how often a posterior is fitted to it from now on. What a picture crosses examples by is not counted."""
    counts: Counter = Counter()
    plain, crossed = VAE._refined, VAE.crossed

    def spy(model: VAE, said: torch.Tensor, x: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        counts.update(keys_of(x, label))
        return plain(model, said, x, label)

    def uncounted(model: VAE, x: torch.Tensor) -> torch.Tensor:
        before = counts.copy()
        found = crossed(model, x)
        counts.clear()
        counts.update(before)
        return found

    monkeypatch.setattr(VAE, "_refined", spy)
    monkeypatch.setattr(VAE, "crossed", uncounted)
    return counts


@pytest.fixture
def subject(tiny: list[str]) -> Subject:
    words = ["experiment=fruit_vae_exemplars", *tiny, *small_parts("fruit_vae_exemplars"), "dataset.size=24"]
    subject = build(compose([*words, "evaluation.num_samples=40", "model.posterior.steps=3"]).settings)
    subject.model.initialise(subject.data.train.batch())
    subject.model.eval()
    return subject


def test_a_run_fits_a_posterior_to_each_picture_once(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many numbers and pictures ask for it; and each of them is as if it had fitted its own."""
    monkeypatch.setattr("genexp.measures.cost.seconds_per_thousand", lambda subject, call, sizes=(): (call(4), 1.0)[1])
    said: list[str] = []
    counts = fits(monkeypatch)
    found, folders = {}, {}
    for name, scope in (("once", subject.model.remembering), ("anew", nullcontext)):
        counts.clear()
        fresh = Subject(subject.model, subject.data, subject.settings, subject.device)
        folder = folders[name] = RunFolder.create(name, str(tmp_path / name))
        torch.manual_seed(0)
        with scope():
            results = measure(fresh, folder, said.append)
            keep(results, fresh, folder, said.append)
        most = counts.most_common()
        test = keys_of(subject.test.x, subject.test.label) + keys_of(subject.test.x, None)
        expected = {key: 2 if key in test[:4] else 1 for key in counts}  # by seconds_density the first four once more
        assert (counts == expected) if name == "once" else most[0][1] > 5
        found[name] = timeless(results.taken.metrics)
    assert not said
    assert found["once"].keys() == found["anew"].keys()
    for name, value in found["once"].items():
        assert value == pytest.approx(found["anew"][name], rel=1e-3, abs=1e-4), name
    drawn = [sorted(path.name for path in (folder.path / "figures").iterdir()) for folder in folders.values()]
    assert drawn[0] == drawn[1]
    assert {"interpolation.png", "reconstructions.png", "four_corners.png"} <= {*drawn[0]}


def test_runs_rehearsals_and_evaluations_remember(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is measured and drawn of one model shares one memory, which is gone afterwards."""
    seen: dict[str, list[Memory | None]] = {}
    for room in ("experiment", "rehearsal", "evaluation"):
        module = importlib.import_module(f"genexp.runs.{room}")
        for name in {"measure", "keep", "take"} & {*vars(module)}:

            def spy(*given: Any, plain: Callable = getattr(module, name), room: str = room) -> Any:
                model = next(each for each in given if isinstance(each, Subject)).model
                seen.setdefault(room, []).append(model.memory)
                return plain(*given)

            monkeypatch.setattr(module, name, spy)
    settings = subject.settings.model_copy(update={"figures": subject.settings.figures.model_copy(update={"enabled": False})})
    run(Composed(settings, (), ()), str(tmp_path / "run"))
    evaluate(tmp_path / "run")
    rehearse(subject, str)
    assert {room: len(found) for room, found in seen.items()} == {"experiment": 2, "rehearsal": 2, "evaluation": 1}
    for found in seen.values():
        assert found[0] is not None
        assert all(memory is found[0] for memory in found)
        assert found[0].rows


def test_what_is_fitted_depends_on_the_example_alone() -> None:
    model, x = fitted_vae(), torch.rand(7, *SHAPE)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    found = model.infer(x).detach()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.infer(x), found)
    assert torch.allclose(model.infer(x[2:5]), found[2:5], atol=1e-3)
    with model.remembering():
        model.infer(x[3:6])
        assert torch.allclose(model.infer(x.flip(0)).flip(0), found, atol=1e-3)


def test_in_training_the_noise_is_of_each_example_and_each_fit() -> None:
    """With the same for all, what is learnt from the fits fits their noise: held out it was worse."""
    q = SemiAmortisedPosterior(5, 2, steps=3, training_steps=3)
    begun = torch.zeros(2, 4)
    same, other, again = (q.train(mode).refine(begun, lambda z: -z.square().sum(2)) for mode in (False, True, True))
    assert torch.equal(same[0], same[1])
    assert not torch.equal(other[0], other[1])
    assert not torch.equal(other, again)


def test_remembered_is_what_no_weight_has_changed_since() -> None:
    model, x = fitted_vae(conditional=True), torch.rand(4, *SHAPE)
    classes = torch.tensor([0, 1, 0, 1])
    with torch.no_grad(), model.remembering():
        found = model.infer(x, classes)
        assert not torch.allclose(model.infer(x, 1 - classes), found)  # another class is another example
        with model.remembering():
            model.posterior.steps = 0
            assert not torch.allclose(model.infer(x, classes), found)
            assert not model.memory.rows  # the encoder's word alone is not kept: it may want a gradient
            model.posterior.steps = FITTED["steps"]
        assert torch.equal(model.infer(x, classes), found)
    assert model.memory is None
    with torch.no_grad():
        model.posterior.head.bias += 0.5
        assert not torch.allclose(model.infer(x, classes), found)


def test_of_several_examples_those_that_are_new_are_fitted() -> None:
    memory, asked = Memory(), []

    def fit(positions: torch.Tensor) -> torch.Tensor:
        asked.append(positions.tolist())
        return x[positions].flatten(1).sum(1, keepdim=True)

    everything = torch.rand(1, 8, 9).repeat(6, 1, 1)
    everything[:, -1, -1] = torch.rand(6)  # alike but for one number
    for rows, new in (([0, 1], [0, 1]), ([1, 2, 0, 3], [1, 3]), ([3, 2], None), ([4, 4], [0, 1])):
        x = everything[rows]
        assert torch.equal(memory.recall(x, None, fit), x.flatten(1).sum(1, keepdim=True))
        assert asked[-1] == new or new is None
    assert len(asked) == 3


def test_the_time_that_a_density_takes_has_the_fitting_in_it(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = fits(monkeypatch)
    with subject.model.remembering():
        subject.model.infer(subject.test.x, subject.test.label)
        counts.clear()
        assert taken(subject, "seconds_density")["seconds_density"] > 0
        assert sum(counts.values()) > 0
        counts.clear()
        subject.model.infer(subject.test.x, subject.test.label)
        assert not counts


def test_the_noise_of_a_fit_is_of_unit_variance_and_cancels_in_pairs() -> None:
    noise = mirrored_noise(4_000, 20)
    assert torch.equal(noise[::2], -noise[1::2])
    assert float(noise.square().mean()) == pytest.approx(1, abs=0.02)
    assert torch.allclose(torch.cov(noise.T), torch.eye(20), atol=0.1)
    assert torch.equal(mirrored_noise(5, 3), mirrored_noise(6, 3)[:5])


# --- pictures between pictures -------------------------------------------------------------------------------


def hill(across: float, down: float, side: int = 16) -> torch.Tensor:
    """A picture (3, side, side) of a smooth hill there, from −1 to 1."""
    axis = (2 * torch.arange(side) + 1) / side - 1
    return torch.exp(-((axis - across)[None].square() + (axis - down)[:, None].square()) / 0.3).expand(3, -1, -1).contiguous()


PLACES = ((-0.2, -0.1), (0.25, 0.15), (-0.1, 0.2), (0.1, -0.3))


def moving(steps: int = 120) -> tuple[VAE, torch.Tensor]:
    """Exemplars of one hill at several places, whose warps move pictures."""
    torch.manual_seed(0)
    x = torch.stack([hill(*place) for place in PLACES])
    network = {"name": "exemplars", "count": 4, "degree": 0, "apart": 0}
    posterior = {"name": "semi_amortised", "steps": steps, "rate": 0.2, "held": 1}
    model = vae(
        DataSpec((3, 16, 16)), latent=3, network=network, posterior=posterior, likelihood={"name": "gaussian", "sigma": 0.05}
    )
    model.initialise(Batch(x))
    with torch.no_grad():
        model.decoder.width.copy_(0.3 * torch.eye(2))
    return model.eval(), x


@torch.no_grad()
def test_each_picture_is_shown_by_each_exemplar() -> None:
    model, x = moving()
    z = model.crossed(x)
    assert z.shape == (4, 4, 3)
    index = model.encoder.exemplars.meant(z[:, :, 0])
    assert torch.equal(index, model.encoder.exemplars.nearest(x).expand(4, 4))  # of the second of the two
    decoded = model.decode(z.flatten(0, 1)).unflatten(0, (4, 4))
    inside = decoded - x[:, None]
    assert float(inside[..., 3:-3, 3:-3].abs().max()) < 0.12  # the first of them; the edge goes on as it is
    assert torch.allclose(z.diagonal().T, model.encode(x), atol=1e-3)


@torch.no_grad()
def test_between_two_pictures_a_hill_moves_and_does_not_fade() -> None:
    model, x = moving()
    s = torch.linspace(0, 1, 5)
    way = mixed(model, x[:2], torch.stack([1 - s, s], 1))
    for share, picture in zip(s.tolist(), way, strict=True):
        (a, b), (c, d) = PLACES[:2]
        assert torch.allclose(picture, hill(a + share * (c - a), b + share * (d - b)), atol=0.12)
    assert torch.allclose(way[[0, 4]], model.decode(model.encode(x[:2])), atol=1e-3)
    middle = mixed(model, x, torch.full((1, 4), 0.25))[0]
    assert torch.allclose(middle, hill(*(sum(place) / 4 for place in zip(*PLACES, strict=True))), atol=0.15)


def test_what_is_shown_between_pictures_begins_and_ends_with_them(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run of exemplars, in bfloat16 too; other networks go straight and along an arc."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        ends, rows = walk(subject, 5)
        assert [*rows] == ["exemplar by exemplar", "warped and mixed"]
        decoded = subject.model.decode(subject.model.encode(torch.from_numpy(ends))).float().numpy()
        for row in rows.values():
            assert row[[0, -1]] == pytest.approx(decoded, abs=0.02)
        shown: list[torch.Tensor] = []
        monkeypatch.setattr("genexp.pictures.latent.mixed", lambda model, x, w: (shown.append(w), mixed(model, x, w))[1])
        corners(subject)
    assert torch.allclose(shown[0].sum(1), torch.ones(81))
    assert torch.allclose(shown[0][[0, 8, 72, 80]], torch.eye(4), atol=1e-6)
