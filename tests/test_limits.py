"""Every setting at each of its limits: the run works, or is refused in one line that says why; one step beyond is refused."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from zlib import crc32

import numpy as np
import pytest
from PIL import Image
from pydantic import Field

from genexp.config import catalogue
from genexp.errors import UserError
from genexp.settings import validate
from tests.conftest import TINY
from tests.forking import Ended, Forks
from tests.limits import Limit, limits, numbers, schemas
from tests.test_hostile_commands import GIGABYTE, wrong_in
from tests.test_point_sets import KNOWN

SMALL = [word for word in TINY if "num_samples" not in word]
SMALL += ["figures.enabled=false", "evaluation.batch_size=8192", "evaluation.num_samples=50"]
DRAWN = ["dataset.count=60", "dataset.validation=20", "dataset.test=20"]
NETS = ["model.network.encoder_widths=[8]", "model.network.decoder_widths=[8]"]
GAUSSIAN = ["experiment=double_gaussian", "model.conditioner.width=4", "model.transformer.bins=4"]
FIELD = ["experiment=qr_fourier", "model.field.width=8", "model.field.depth=1"]
FLOW = [*FIELD, "model.field.num_frequencies=8"]
VAE = ["experiment=glyphs_vae", "dataset.size=8", *DRAWN, *NETS]
LATTICE = [
    "experiment=mnist_gtm",
    "dataset=glyphs",
    "dataset.size=8",
    *DRAWN,
    "model.decoder_widths=[8]",
    "model.frequencies=4",
]
LATTICE += ["model.side=4", "model.inference_side=8"]


def members(kind: str) -> list[str]:
    """The parts of one kind."""
    return catalogue.options(f"model/{kind}")


OF_FLOWS = ("log_density_side", "gif_points", "gif_frames", "gif_fps", "gif_size")

# What an experiment must be for a setting to matter: of a whole section, and more of one setting.
SECTIONS = {
    **{f"model={name}": ["experiment=double_gaussian", f"model={name}"] for name in catalogue.options("model")},
    "": GAUSSIAN,
    "trainer": GAUSSIAN,
    "evaluation": VAE,
    "figures": VAE,
    "dataset=double_gaussian": GAUSSIAN,
    "dataset=drawn_fruit": [*VAE, "dataset=drawn_fruit", "dataset.size=16"],
    "dataset=glyphs": VAE,
    "dataset=sprites": [*VAE, "dataset=sprites"],
    "dataset=qr": FLOW,
    "dataset=digits": [*GAUSSIAN, "dataset=digits", "dataset.flat=true"],
    "dataset=patches": [*GAUSSIAN, "dataset=patches"],
    "dataset=table": [*GAUSSIAN, "dataset=table", "dataset.file=table.csv"],
    **{f"dataset={name}": [*GAUSSIAN, f"dataset={name}"] for name in KNOWN},
    "dataset=log_uniform": ["experiment=double_gaussian", "model=elementwise_flow", "dataset=log_uniform"],  # of one number
    "model=coupling_flow": GAUSSIAN,
    "model=continuous_flow": ["experiment=double_gaussian", "model=continuous_flow", "model.width=8"],
    "model=flow_matching": FLOW,
    "model=gtm": LATTICE,
    "model=vae": VAE,
    "model=flow": ["experiment=double_gaussian", "model=flow"],
    "model/network=mlp": VAE,
    "model/network=conv": [*VAE, "model/network=conv"],
    "model/network=refined": [*VAE, "model/network=refined"],
    "model/network=principal": [*VAE, "model/network=principal", "model/likelihood=gaussian"],
    "model/network=warped": [*VAE, "model/network=warped", "model/likelihood=gaussian", "model.latent=30"],
    "model/network=exemplars": [*VAE, "model/network=exemplars", "model/likelihood=gaussian", "model.latent=21"],
    **{
        f"model/{kind}={name}": [*VAE, f"model/{kind}={name}"]
        for kind in ("likelihood", "prior", "objective")
        for name in members(kind)
    },
    **{f"model/posterior={name}": [*VAE, f"model/posterior={name}"] for name in members("posterior")},
    **{f"model/transformer={name}": [*GAUSSIAN[:2], f"model/transformer={name}"] for name in members("transformer")},
    "model/transformer=spline": GAUSSIAN,
    "model/conditioner=mlp": GAUSSIAN,
    **{f"model/source={name}": ["experiment=randu", f"model/source={name}", "model.tested=2000"] for name in members("source")},
    **{
        f"model/transform={name}": [
            "experiment=double_gaussian",
            "model=random_numbers",
            f"model/transform={name}",
            "model.tested=2000",
        ]
        for name in members("transform")
    },
    "model/base=uniform": [*GAUSSIAN, "model.normalise=false", "model/base=uniform"],
    **{f"model/field={name}": [*FIELD, f"model/field={name}"] for name in members("field")},
    **{
        f"model/{place.rpartition('/')[2]}={name}": [*FLOW, f"model/{place}={name}"]
        for place in ("parametrisation", "target", "times", "solver", "solver/time_grid")
        for name in members(place.rpartition("/")[2])
    },
    **{
        f"model/bijection={name}": ["experiment=double_gaussian", "model=flow", f"model/bijection={name}"]
        for name in members("bijection")
    },
}
CHAINS = ["experiment=double_gaussian", "model=chains", "model.chains=4", "model.burn_in=0", "model.draws=2"]
TRIAL = ["experiment=metric_trial", *(f"model.{key}" for key in ("samples=10", "rungs=1", "repetitions=1", "failing=1"))]
ENERGY = ["experiment=double_gaussian", "model=energy", "model.annealing=2", "model.settling=1", "model.leaps=1"]
BITS = ["experiment=binary_mnist_made", "dataset=glyphs", "dataset.binarise=dynamic", "dataset.size=8", *DRAWN, "model.width=8"]
DIFFUSION = ["experiment=ode_beside_sde", "model.field.width=8", "model.field.depth=1"]
GUIDED = ["experiment=guidance", *DIFFUSION[1:]]
SECTIONS |= {
    "model=diffusion": DIFFUSION,
    **{
        f"model/{kind}={name}": [*(GUIDED if kind == "guidance" else DIFFUSION), f"model/{kind}={name}"]
        for kind in ("prediction", "schedule", "sampler", "space", "guidance")
        for name in members(kind)
    },
    "model=altered": ["experiment=divergences", "model.repeats=2", "model.dimensions=[1]", "model.sizes=[16]"],
    "model=chains": CHAINS,
    "model=metric_trial": TRIAL,
    "model=energy": ENERGY,
    **{f"model/flow_objective={name}": [*GAUSSIAN, f"model/objective={name}"] for name in members("flow_objective")},
    **{
        f"model/{kind}={name}": [*ENERGY, f"model/{kind.removeprefix('energy_')}={name}"]
        for kind in ("energy_network", "energy_objective")
        for name in members(kind)
    },
    "model/energy_network=conv": [*ENERGY, "dataset=digits", "model/network=conv"],
    **{f"model/kernel={name}": [*CHAINS, f"model/kernel={name}"] for name in members("kernel")},
    **{f"model/local_kernel={name}": [*CHAINS, f"model/kernel={name}"] for name in members("local_kernel")},
    **{f"model/{kind}={name}": [*BITS, f"model/{kind}={name}"] for kind in ("head", "heuristic") for name in members(kind)},
}
PIXELS = ["experiment=digits_glow", "model.width=8", "model.couplings=[1,1]"]
VECTORS = ["experiment=digits_nice", "model.depth=2", "model.conditioner.width=8"]
SECTIONS |= {
    "model=glow": PIXELS,
    "model=realnvp_image": [PIXELS[0], "model=realnvp_image", *PIXELS[1:]],
    "model=nice": VECTORS,
    "model=realnvp": [*VECTORS, "model=realnvp"],
    "model=maf": ["experiment=digits_maf", "model.width=8"],
    **{
        f"model/{kind}={name}": [*PIXELS, f"model/{kind}={name}"]
        for kind in ("dequantisation", "preprocessing")
        for name in members(kind)
    },
}
WITH = {
    "trainer.max_steps": ["trainer.max_seconds=0.2"],
    "trainer.max_epochs": [*VAE, "trainer.max_steps=null", "trainer.max_seconds=0.2"],
    "trainer.warmup": ["trainer.schedule=linear"],
    "evaluation.num_samples": GAUSSIAN,
    "evaluation.num_points": GAUSSIAN,
    "evaluation.ode_points": FLOW,
    **{f"figures.{key}": FLOW for key in OF_FLOWS},
    "dataset.version": ["dataset.text=a"],
    "model.field.num_frequencies": ["evaluation.batch_size=64"],  # of 65,536 each, so many points at once
    "model.local": ["dataset=digits", "dataset.binarise=static", "model/head=bernoulli"],  # pictures of one channel
    "dataset.raster": ["dataset.image=PICTURES/a/0.png"],
}
# What may be refused all the same, as these data have fewer, or this machine has less memory: at that limit, ge or le.
REFUSED = {
    ("figures.pair", "le"): "there are 20 test pictures",
    ("dataset.validation", "le"): "there are only 5,400 training pictures|55,296 pictures there are",
    **{(f"dataset.{key}", "le"): "55,296 pictures there are" for key in ("count", "test")},
    ("dataset.validation_share", "lt"): "no pictures are left for the training part|rows are too few",
    ("dataset.test_share", "lt"): "no pictures are left for the training part|rows are too few",
    **{(f"dataset.{key}", side): "there is no column" for key in ("columns", "label") for side in ("ge", "le")},
    **{("model.times.noise_range", side): "the first must be less than the second" for side in ("ge", "le")},  # of the other one
    **{("model.field.knot_range", side): "the first must be less than the second" for side in ("ge", "le")},
    **{("model.solver.time_grid.grid_range", side): "the first must be less than the second" for side in ("ge", "le")},
    **{(f"dataset.{key}", side): "it must be greater than dataset.low" for key, side in (("low", "le"), ("high", "ge"))},
    ("model.network.components", "le"): "an example has only 64 values",
    **{(f"model.network.{key}", "le"): "times, which cannot be" for key in ("encoder_widths", "decoder_widths")},  # of 8×8
    ("model.step_size", "le"): "of the proposals are accepted",  # steps far longer than the data are wide
    ("model.base.bound", "gt"): "the loss is inf",  # no data lie in so small a square
    **{
        (f"model.{key}", "le"): "not enough memory|the model is too large"
        for key in ("width", "field.width", "conditioner.width", "bijection.width", "posterior.width")
    },
}
# Numbers that say where the data are and not how much of anything there is: none of them makes a run longer or larger.
FREE = {
    "dataset=class_mixture": {"means"},
    "dataset=double_gaussian": {"means", "stds", "weights", "bridge"},
    "dataset=mixture": {"means", "covariances", "weights"},
    "dataset=normal": {"mean", "covariance"},
    "dataset=uniform": {"low", "high"},
    "model/transform=cholesky": {"mean", "covariance"},
    "model/transform=alias": {"means", "covariances", "weights"},
}
SCHEMAS = schemas()
LIMITS = limits()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sixteen pictures in two classes."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(16):
        path = root / "ab"[index % 2] / f"{index // 2}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 20)).astype(np.uint8)).save(path)
    return root


def typed(limit: Limit, pictures: Path) -> list[str]:
    """A small run with that one setting at its limit."""
    group, _, name = limit.component.partition("=")
    section = SECTIONS.get(limit.component)
    if section is None:  # of a data set that is files
        own = {"image_folder": ["dataset.path=PICTURES", "dataset.size=8"], "fruit": ["dataset.size=8"]}.get(name, [])
        section = [*(word for word in VAE if not word.startswith("dataset.")), f"{group}={name}", *own]
    more = WITH.get(limit.name, [])
    words = more if more and more[0].startswith("experiment=") else [*section, *more]
    drawn = [f"figures.enabled={str(group == 'figures').lower()}", f"{limit.name}={json.dumps(limit.value).replace(' ', '')}"]
    by_key = {word.partition("=")[0]: word for word in [*SMALL, *words, *drawn]}  # the last of each
    return ["run", *(word.replace("PICTURES", str(pictures)) for word in by_key.values())]


def wrong_with(limit: Limit, ended: Ended) -> str | None:
    """What is not as it should be in how a run at a limit ended."""
    if ended.code == 0:
        return None
    said = ended.output[max(0, ended.output.find("error: ")) :]
    allowed = any(words in said for words in REFUSED.get((limit.name, limit.side), "\0").split("|"))
    return wrong_in(Ended(ended.code, said, 0, 0)) or (None if allowed else "refused")


def run_all(forks: Forks, folder: Path, pictures: Path, some: list[Limit]) -> None:
    failures = []
    for limit in some:
        data = {"GENEXP_DATA": os.environ["GENEXP_DATA"]}
        ended = forks(folder, typed(limit, pictures), die_after=120, memory=16 * GIGABYTE, sketchy=True, environment=data)
        problem = wrong_with(limit, ended)
        if problem:
            failures.append((str(limit), problem, f"{ended.seconds:.0f} s", ended.output[-300:]))
    assert not failures


def test_the_last_value_is_taken_and_the_first_beyond_is_refused_by_name() -> None:
    assert len(LIMITS) > 200
    for limit in LIMITS:
        values = {"experiment": "", "dataset": {}, "model": {}, "trainer": {"max_steps": 1}, "evaluation": {}, "figures": {}}
        group, _, name = limit.component.partition("=")
        schema = SCHEMAS[limit.component]
        values = values if not group else {"name": name} if name else values[group]
        validate(schema, {**values, limit.key: limit.value})
        with pytest.raises(UserError, match=limit.key):
            validate(schema, {**values, limit.key: limit.beyond})


def unlimited(annotation: Any, metadata: Any = ()) -> list[tuple[int, ...]]:
    """The places of the numbers that may be as large, or as small, as anyone likes."""
    return [path for path, bounds, _ in numbers(annotation, metadata) if {side[0] for side in bounds} != {"g", "l"}]


def test_every_number_has_a_limit_on_either_side() -> None:
    """Without one above, a slip of the finger is a run that never ends."""
    free: dict[str, set[str]] = {}
    for component, schema in SCHEMAS.items():
        for key, field in schema.model_fields.items():
            if unlimited(field.annotation, field.metadata):
                free.setdefault(component, set()).add(key)
    assert free == FREE


def test_a_number_without_a_limit_is_seen_wherever_it_is() -> None:
    above, both = Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0, le=1)]
    alone = [int, float, above, above | None, list[above], Annotated[above, "more"], Annotated[int | None, Field(le=5)]]
    assert [unlimited(annotation) != [] for annotation in alone] == [True] * len(alone)
    assert unlimited(tuple[both, above] | None) == [(1,)]
    assert unlimited(dict[str, list[tuple[both, int]]]) == [(0, 1)]
    right = [both, both | None, tuple[both, ...], list[both], Annotated[int | None, Field(ge=0, lt=5)], bool, Literal[1, 3]]
    assert [unlimited(annotation) for annotation in right] == [[]] * len(right)


def test_some_limits_work(forks: Forks, tmp_path: Path, pictures: Path) -> None:
    """One in two hundred or so, by its name. (All of them: make test-slow.)"""
    run_all(forks, tmp_path, pictures, [limit for limit in LIMITS if crc32(str(limit).encode()) % 250 == 0])


@pytest.mark.slow
def test_every_limit_works(forks: Forks, tmp_path: Path, pictures: Path) -> None:
    run_all(forks, tmp_path, pictures, LIMITS)
