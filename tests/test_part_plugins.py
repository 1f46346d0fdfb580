"""Parts of a user's own, each one Python file and one YAML: they run, sweep, resume, compare and complete like genexp's."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from genexp.bijections.base import transformers
from genexp.completion.words import candidates
from genexp.folder.checkpoint import load
from genexp.latent.base import posteriors
from genexp.latent.likelihoods import likelihoods
from genexp.plugins import load_plugin
from genexp.registry import Registry, models
from tests.conftest import TINY
from tests.test_flows import autograd_log_det, random_flow

LAPLACE = '''
import torch
from torch import Tensor, nn

from genexp.latent.base import Draws, Posterior, posteriors
from genexp.settings import Scale


@posteriors.register("laplace")
class LaplacePosterior(Posterior):
    """q(z|x): a Laplace density in each dimension. The parameters are its centre and the logarithm of its scale.

    Args:
        widest: the scale is below it.
    """

    def __init__(self, features: int, latent: int, *, widest: Scale = 1.0) -> None:
        super().__init__()
        self.head, self.widest = nn.Linear(features, 2 * latent), widest

    def forward(self, features: Tensor) -> Tensor:
        centre, raw = self.head(features).float().chunk(2, dim=-1)
        return torch.cat([centre, torch.sigmoid(raw).mul(self.widest).log()], dim=-1)

    def draw(self, parameters: Tensor, k: int) -> Draws:
        centre, log_scale = parameters.chunk(2, dim=-1)
        found = torch.distributions.Laplace(centre, log_scale.exp())
        z = found.rsample((k,))
        return Draws(z, found.log_prob(z).sum(-1))

    def centre(self, parameters: Tensor) -> Tensor:
        return parameters.chunk(2, dim=-1)[0]
'''
STUDENT = '''
import torch
from torch import Tensor, nn

from genexp.data.base import DataSpec
from genexp.latent.likelihoods import Likelihood, likelihoods
from genexp.settings import Scale


@likelihoods.register("student")
class Student(Likelihood):
    """x under Student's t about the decoder's output: pixels that are far off cost less.

    Args:
        degrees: of freedom.
        scale: to begin with; it is learnt.
    """

    kinds = ("real", "unit", "bits")
    has_pairs = False

    def __init__(self, spec: DataSpec, *, degrees: Scale = 5.0, scale: Scale = 0.1) -> None:
        super().__init__(spec)
        self.degrees, self.log_scale = degrees, nn.Parameter(torch.tensor(scale).log())

    def mean(self, raw: Tensor) -> Tensor:
        return raw.float()

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        found = torch.distributions.StudentT(self.degrees, raw.float(), self.log_scale.exp())
        return found.log_prob(x).flatten(raw.dim() - x.dim() + 1).sum(-1)

    def from_mean(self, mean: Tensor) -> Tensor:
        return mean
'''
TAILS = '''
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Transformer, transformers


@transformers.register("tails")
class Tails(Transformer):
    """z = sinh(e^s asinh(x) + m), s = bound tanh(raw/bound): heavier tails or lighter ones, and a shift.

    Args:
        tail_bound: of the logarithm of the power that a tail is raised to.
    """

    per_feature = 2

    def __init__(self, *, tail_bound: Annotated[float, Field(gt=0, le=5)] = 1.0) -> None:
        super().__init__()
        self.bound = tail_bound

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        s, m = self.bound * torch.tanh(raw[..., 0] / self.bound), raw[..., 1]
        if inverse:
            inner = (torch.asinh(x) - m) * torch.exp(-s)
            return torch.sinh(inner), inner.cosh().log() - s - 0.5 * torch.log1p(x.square())
        inner = torch.exp(s) * torch.asinh(x) + m
        return torch.sinh(inner), inner.cosh().log() + s - 0.5 * torch.log1p(x.square())
'''
GLYPHS = ["experiment=glyphs_vae", "dataset.count=60", "dataset.validation=20", "dataset.test=20", "dataset.size=8"]
GLYPHS += ["model.network.encoder_widths=[8]", "model.network.decoder_widths=[8]"]
NO_PICTURES = [*TINY, "figures.enabled=false", "trainer.schedule=constant", "trainer.precision=float32"]


@dataclass(frozen=True)
class Own:
    """A part of a user's: its kind, name and text; a key of its own with two values; another of its kind; and where it runs."""

    registry: Registry[Any]
    name: str
    text: str
    key: str
    values: tuple[str, str]
    other: str
    words: list[str]

    @property
    def place(self) -> str:
        return f"model/{self.registry.kind}"

    @property
    def setting(self) -> str:
        return f"model.{self.registry.kind}.{self.key}"


OWN = [
    Own(posteriors, "laplace", LAPLACE, "widest", ("1.0", "0.5"), "gaussian", GLYPHS),
    Own(likelihoods, "student", STUDENT, "degrees", ("5.0", "9.0"), "bernoulli", GLYPHS),
    Own(transformers, "tails", TAILS, "tail_bound", ("1.0", "0.5"), "affine", ["experiment=double_gaussian", "model.depth=2"]),
]
NAMES = [own.name for own in OWN]


@pytest.fixture(params=OWN, ids=lambda own: own.name)
def own(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    """The part in two files of the current folder, its Python one loaded."""
    part: Own = request.param
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(part.text)
    yaml = Path("conf") / part.place / f"{part.name}.yaml"
    yaml.parent.mkdir(parents=True)
    more = "scale: 0.1\n" if part.name == "student" else ""
    yaml.write_text(f"# a part of mine\nname: {part.name}\n{part.key}: {part.values[0]}\n{more}")
    load_plugin(Path("mine.py"))
    yield part
    del part.registry._builders[part.name]


PLUGIN = ("--plugin", "mine.py", "--config-dir", "conf")


def test_it_runs_and_goes_on_exactly(own: Own, genexp: Any) -> None:
    words = [*PLUGIN, *own.words, *NO_PICTURES, f"{own.place}={own.name}", f"{own.setting}={own.values[1]}"]
    assert genexp("run", *words, "trainer.max_steps=4", "run_dir=whole")[0] == 0
    assert genexp("run", *words, "trainer.max_steps=2", "run_dir=halves")[0] == 0
    assert genexp("resume", *PLUGIN[:2], "halves", "trainer.max_steps=4")[0] == 0
    whole, halves = (load(Path(run) / "checkpoints" / "last.pt")["model"] for run in ("whole", "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)
    assert f"{own.key}: {own.values[1]}" in Path("whole/config.yaml").read_text()
    code, _, err = genexp("run", *PLUGIN, *own.words, f"{own.place}={own.name}", f"{own.setting}=-1")
    assert (code, f"{own.setting}=-1: " in err) == (2, True)


@pytest.mark.parametrize(
    "own", [OWN[0], *[pytest.param(own, marks=pytest.mark.slow) for own in OWN[1:]]], indirect=True, ids=NAMES
)
def test_it_is_swept_and_compared(own: Own, genexp: Any) -> None:
    swept = f"{own.place}={own.other},{own.name}"
    assert genexp("run", "-m", *PLUGIN, *own.words, *NO_PICTURES, swept, "sweep.dir=sweep")[0] == 0
    with Path("sweep/sweep.csv").open() as file:
        assert [(row["status"], row[own.place]) for row in csv.DictReader(file)] == [
            ("finished", own.other),
            ("finished", own.name),
        ]
    assert genexp("compare", "sweep", "--out", "table.csv")[0] == 0
    header, *rows = csv.reader(Path("table.csv").read_text().splitlines())
    at = header.index(f"model.{own.registry.kind}.name")
    assert {row[at] for row in rows} == {own.other, own.name}


def test_it_is_listed_and_completed(own: Own, genexp: Any) -> None:
    assert f"{own.place}={own.name}" in genexp("list", "parts", "--config-dir", "conf")[1]
    line = f"genexp run --config-dir conf {own.words[0]} {own.place}="
    assert f"{own.place}={own.name} " in candidates(line)
    assert f"{own.setting}=" in candidates(f"{line}{own.name} model.{own.registry.kind}.")
    code, _, err = genexp("run", *PLUGIN, *own.words, f"{own.place}={own.name[:-1]}")
    assert (code, f"did you mean '{own.name}'" in err) == (2, True)


@pytest.mark.parametrize("own", OWN[2:], indirect=True, ids=["tails"])
def test_a_transformer_is_held_to_the_laws(own: Own) -> None:
    flow = random_flow(bijection={"name": "coupling", "transformer": {"name": own.name}})
    x = 2 * torch.randn(30, 2, dtype=torch.float64)
    z, log_det = flow.transform(x)
    assert torch.allclose(flow.inverse(z)[0], x, atol=1e-8)
    assert torch.allclose(log_det, autograd_log_det(flow.transform, x), atol=1e-8)


BLOB = '''
import torch
from torch import Tensor, nn

from genexp.data.base import Batch, DataSpec
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, Registry, models
from genexp.settings import Scale


class Spread(nn.Module):
    """The standard deviation of a blob. Told when built: nothing."""


spreads = Registry("spread", base=Spread)


@spreads.register("learnt")
class Learnt(Spread):
    def __init__(self, *, begin: Scale = 1.0) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(begin).log())


@models.register("blob")
class Blob(GenerativeModel):
    def __init__(self, spec: DataSpec, *, spread: Part[Spread] = spreads.part("learnt")) -> None:
        super().__init__()
        self.dim, self.spread = spec.points("blob"), spread()

    def loss(self, batch: Batch) -> Terms:
        return {"loss": -torch.distributions.Normal(0.0, self.spread.log.exp()).log_prob(batch.x).sum(1).mean()}

    def sample(self, n: int) -> Tensor:
        return self.spread.log.exp().detach() * torch.randn(n, self.dim, device=self.spread.log.device)
'''


def test_a_model_of_mine_has_a_kind_of_parts_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genexp: Any) -> None:
    for path, text in {
        "blob.py": BLOB,
        "conf/model/blob.yaml": "# a blob\ndefaults:\n  - spread: learnt\n  - _self_\n\nname: blob\n",
        "conf/model/spread/learnt.yaml": "# a spread that is learnt\nname: learnt\nbegin: 1.0\n",
    }.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    words = ["--plugin", "blob.py", "--config-dir", "conf", "dataset=double_gaussian", "model=blob"]
    code, _, err = genexp("run", *words, *NO_PICTURES, "model.spread.begin=2", "run_dir=here")
    assert code == 0, err
    assert "begin: 2.0" in Path("here/config.yaml").read_text()
    code, _, err = genexp("run", *words, "model.spread.begin=-2")
    assert (code, "model.spread.begin=-2: " in err) == (2, True)
    assert "model.spread.begin=" in candidates("genexp run --config-dir conf model=blob model.spread.")
    del models._builders["blob"]
