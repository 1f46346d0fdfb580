"""Members of a user's own, each one Python file and one YAML, with no edit elsewhere: they run, sweep, resume and compare."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_distributed import metrics

LOGISTIC_BASE = '''
import math
import torch
from torch import Tensor
from genexp.bijections.base import Base, bases
from genexp.settings import Scale

@bases.register("plugin_logistic")
class Logistic(Base):
    """A logistic density in each dimension."""
    like: Tensor

    def __init__(self, dim: int, *, width: Scale = 1.0) -> None:
        super().__init__()
        self.dim, self.width = dim, width
        self.register_buffer("like", torch.empty(0), persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        u = z / self.width
        return (-u - 2 * torch.nn.functional.softplus(-u) - math.log(self.width)).sum(1)

    def sample(self, n: int) -> Tensor:
        u = torch.rand(n, self.dim, device=self.like.device, dtype=self.like.dtype).clamp(1e-7, 1 - 1e-7)
        return self.width * (u.log() - (-u).log1p())
'''
SHEAR = '''
import torch
from torch import Tensor, nn
from genexp.bijections.base import Bijection, bijections
from genexp.settings import Scale

@bijections.register("plugin_shear")
class Shear(Bijection):
    """z = x L^T with a unit lower triangle, and a scale for each feature."""

    def __init__(self, dim: int, layer: int, *, spread: Scale = 0.1) -> None:
        super().__init__()
        self.below, self.log_scale = nn.Parameter(spread * torch.randn(dim, dim)), nn.Parameter(torch.zeros(dim))

    def matrix(self) -> Tensor:
        return self.below.tril(-1) + torch.diag(self.log_scale.exp())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.matrix().mT, self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return torch.linalg.solve_triangular(self.matrix(), z.mT, upper=False).mT, -self.log_scale.sum().expand(len(z))
'''
CUBIC = '''
import torch
from torch import Tensor, nn
from genexp.bijections.base import Bijection, bijections
from genexp.errors import UserError
from genexp.settings import Weight

@bijections.register("plugin_cubic")
class Cubic(Bijection):
    """z = x + a x^3, a >= 0, for each feature: an inverse by Newton's method, which is checked."""

    def __init__(self, dim: int, layer: int, *, bend: Weight = 0.05) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.full((dim,), float(bend)).expm1().log())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = nn.functional.softplus(self.raw)
        return x + a * x**3, (1 + 3 * a * x**2).log().sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        a = nn.functional.softplus(self.raw)
        x = z.sign() * torch.minimum(z.abs(), (z.abs() / a) ** (1 / 3))
        for _ in range(60):
            x = x - (x + a * x**3 - z) / (1 + 3 * a * x**2)
        if float((x + a * x**3 - z).abs().max()) > 1e-3 * (1 + float(z.abs().max())):
            raise UserError("plugin_cubic: its inverse did not converge")
        return x, -(1 + 3 * a * x**2).log().sum(1)
'''
WIDE_PRIOR = '''
import math
import torch
from torch import Tensor
from genexp.latent.base import Given, Latent, Prior, priors
from genexp.settings import Scale

@priors.register("plugin_wide")
class Wide(Prior):
    """N(0, width^2 I)."""
    like: Tensor

    def __init__(self, latent: Latent, *, width: Scale = 2.0) -> None:
        super().__init__()
        self.latent, self.width = latent.size, width
        self.register_buffer("like", torch.empty(0), persistent=False)

    def log_prob(self, z: Tensor, given: Given) -> Tensor:
        return (-0.5 * (z / self.width) ** 2 - math.log(self.width) - 0.5 * math.log(2 * math.pi)).sum(-1)

    def sample(self, n: int, given: Given) -> Tensor:
        return self.width * torch.randn(n, self.latent, device=self.like.device)
'''
ROUND_EM = '''
import math
import torch
from torch import Tensor, nn
from genexp.data.base import Batch, DataSpec
from genexp.models.base import GenerativeModel
from genexp.registry import models

@models.register("plugin_isotropic")
class Isotropic(GenerativeModel):
    """Two round Gaussians of one width, by expectation maximisation."""
    fitter, can, objective, tolerance = "em", frozenset({"sample", "exact"}), "nll", 0.0

    def __init__(self, spec: DataSpec, *, examples: int = 2000) -> None:
        super().__init__()
        self.dim, self.examples = spec.points("plugin_isotropic"), examples
        self.mean = nn.Parameter(torch.randn(2, self.dim), requires_grad=False)
        self.log_width = nn.Parameter(torch.zeros(()), requires_grad=False)

    def joint(self, x: Tensor) -> Tensor:
        squares = (x[:, None] - self.mean).square().sum(2) / (2 * (2 * self.log_width).exp())
        return -squares - self.dim * (self.log_width + 0.5 * math.log(2 * math.pi)) - math.log(2)

    def em_step(self, batch: Batch) -> dict[str, Tensor]:
        joint = self.joint(batch.x)
        r = joint.softmax(1)
        self.mean.copy_(r.mT @ batch.x / r.sum(0)[:, None])
        variance = (r * (batch.x[:, None] - self.mean).square().sum(2)).sum() / (len(r) * self.dim)
        self.log_width.copy_(0.5 * variance.log())
        return {"loss": -joint.logsumexp(1).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        return self.joint(x).logsumexp(1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": -self.log_prob(batch.x).mean()}

    def sample(self, n: int) -> Tensor:
        k = torch.randint(2, (n,), device=self.mean.device)
        return self.mean[k] + self.log_width.exp() * torch.randn(n, self.dim, device=self.mean.device)
'''
SAMPLER_ALONE = '''
import torch
from torch import Tensor
from genexp.data.base import Batch, DataSpec
from genexp.models.base import GenerativeModel
from genexp.registry import models

@models.register("plugin_twelve")
class Twelve(GenerativeModel):
    """Nearly normal numbers: the sum of twelve uniform ones, less six. It has no weights, and learns nothing."""
    fitter, can = "none", frozenset({"sample"})

    def __init__(self, spec: DataSpec, *, terms: int = 12) -> None:
        super().__init__()
        self.shape, self.terms = spec.shape, terms

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": (self.sample(len(batch.x)) - batch.x).square().mean()}

    def sample(self, n: int) -> Tensor:
        return (torch.rand(self.terms, n, *self.shape).sum(0) - self.terms / 2) / (self.terms / 12) ** 0.5
'''
BENT_TARGET = '''
import subprocess
import sys
from pathlib import Path
import torch
from torch import Tensor
from genexp.data.base import DataSpec
from genexp.data.target import Target
from genexp.registry import datasets
from genexp.settings import Scale

@datasets.register("plugin_bent")
class Bent(Target):
    """exp(-(x^2 + (y - bend x^2)^2) / 2), of which nobody knows the integral."""

    def __init__(self, data_dir: Path, *, bend: Scale = 0.5) -> None:
        self.bend, self.spec = bend, DataSpec(shape=(2,), kind="real")

    def log_density(self, x: Tensor) -> Tensor:
        return -0.5 * x[:, 0].square() - 0.5 * (x[:, 1] - self.bend * x[:, 0].square()).square()

    def describe(self) -> str:
        return "a bent target"
'''

FLOW, GLYPHS = (
    "experiment=double_gaussian",
    ["experiment=glyphs_vae", "dataset.count=60", "dataset.validation=20", "dataset.test=20"],
)
MEMBERS = {  # name: Python, folder of the YAML, a setting and two of its values, the words that choose it
    "plugin_logistic": (LOGISTIC_BASE, "model/base", "model.base.width=1.0,0.7", [FLOW, "model/base=plugin_logistic"]),
    "plugin_shear": (
        SHEAR,
        "model/bijection",
        "model.bijection.spread=0.1,0.2",
        [FLOW, "model=flow", "model/bijection=plugin_shear"],
    ),
    "plugin_cubic": (
        CUBIC,
        "model/bijection",
        "model.bijection.bend=0.05,0.1",
        [FLOW, "model=flow", "model/bijection=plugin_cubic"],
    ),
    "plugin_wide": (WIDE_PRIOR, "model/prior", "model.prior.width=2.0,1.5", [*GLYPHS, "model/prior=plugin_wide"]),
    "plugin_isotropic": (ROUND_EM, "model", "model.examples=500,600", [FLOW, "model=plugin_isotropic"]),
    "plugin_twelve": (SAMPLER_ALONE, "model", "model.terms=12,6", [FLOW, "model=plugin_twelve"]),
    "plugin_bent": (BENT_TARGET, "dataset", "dataset.bend=0.5,1.0", [FLOW, "dataset=plugin_bent", "model/objective=reverse_kl"]),
}


ALIKE = ("plugin_logistic", "plugin_cubic", "plugin_wide")  # parts, as plugin_shear is


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in MEMBERS])
def test_one_file_and_one_yaml_is_all(genexp, tiny: list[str], tmp_path: Path, name: str) -> None:
    code, folder, swept, words = MEMBERS[name]
    (tmp_path / "member.py").write_text(code)
    place = tmp_path / "own" / folder
    place.mkdir(parents=True)
    key, values = swept.split("=")
    (place / f"{name}.yaml").write_text(f"# mine\nname: {name}\n{key.split('.')[-1]}: {values.split(',')[0]}\n")
    plugin = ["--plugin", "member.py"]
    own, small = [*plugin, "--config-dir", "own"], [*words, *tiny, "evaluation.batch_size=256"]
    code, _, err = genexp("run", *own, "run_dir=run", *small, "figures.gif=false")
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert found["heldout_loss"] is not None
    code, _, err = genexp("resume", *plugin, "run", "trainer.max_steps=4")
    assert code == 0, err
    code, out, err = genexp("evaluate", *plugin, "run")
    assert code == 0, err
    assert "numbers are the same as at the end of training" in out
    assert genexp("sample", *plugin, "run", "--out", "more.npz")[0] == 0
    code, _, err = genexp("run", "-m", *own, *small, "figures.enabled=false", swept, "sweep.dir=sweep")
    assert code == 0, err
    code, out, err = genexp("compare", "sweep")
    assert code == 0, err
    assert all(value in out for value in values.split(","))
    assert genexp("report", "run", "--out", "page.html")[0] == 0
    code, _, err = genexp("run", *own, *small, key.replace(key.split(".")[-1], "nonsense") + "=1")
    assert (code, err.splitlines()[0].startswith("error: unknown key")) == (2, True)


def test_a_plugin_may_not_take_a_name_that_there_is(tmp_path: Path) -> None:
    """In a process of its own, in which no other member has been read yet."""
    plugin = tmp_path / "taken.py"
    plugin.write_text('from genexp.registry import datasets\n\n@datasets.register("rings")\nclass Rings: pass\n')
    words = [sys.executable, "-m", "genexp", "run", "--plugin", str(plugin), f"run_dir={tmp_path / 'run'}"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (
        2,
        "error: dataset 'rings' is registered twice: by genexp.data.rings and genexp_plugin_taken\n",
    )
