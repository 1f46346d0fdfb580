"""`model=random_bits`: nothing but the numbers of a source of random bits, one after the other."""

import torch
from torch import Tensor

from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.samplers.base import MOST_SEEDS, Source, Stream, sources
from genexp.settings import Drawn


class Sampling(GenerativeModel):
    """Base of what has nothing to learn: samples that come from a source of bits.

    Args:
        source: of the bits.
        tested: so many numbers of one sequence are put to the tests.
    """

    fitter, examples = "none", 2
    can: frozenset[Ability] = frozenset({"sample", "bits"})
    like: Tensor

    def __init__(self, source: Source, tested: int) -> None:
        super().__init__()
        self.source, self.tested = source, tested
        self.register_buffer("like", torch.empty(0), persistent=False)

    def stream(self, seed: int) -> Stream:
        """The sequence that a seed begins."""
        return Stream(self.source, seed)

    def loss(self, batch: Batch) -> Terms:
        """An estimate of the energy distance 2 E|x − y| − E|x − x′| − E|y − y′|, in the units of the data: 0, give or take, where
        samples x are distributed as the data y.
        """
        x, y = self.sample(len(batch.x)).flatten(1), batch.x.flatten(1)
        apart = [(a - b).norm(dim=1).mean() for a, b in ((x, y), (x, x.roll(1, 0)), (y, y.roll(1, 0)))]
        return {"loss": 2 * apart[0] - apart[1] - apart[2]}

    def drawn(self, stream: Stream, n: int) -> Tensor:
        """n examples by the next numbers of a sequence, (n, dim)."""
        raise NotImplementedError

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples (n, dim) of one sequence, which torch's own generator chooses."""
        seed = int(torch.randint(MOST_SEEDS, ()))
        return self.drawn(self.stream(seed), n).to(self.like)


@models.register("random_bits")
class Generator(Sampling):
    r"""Points whose d coordinates are d successive numbers of a source: uniform on [0, 1)^d if it is a good one.

    In short:
        Nothing is learnt: successive numbers of a generator are the coordinates of points, which a good one spreads evenly.

    Equation:
        x = (u_1, …, u_d), \qquad u_i = \frac{s_i}{m}, \quad s_{i+1} = g(s_i), \qquad p(x) = 1 \text{ on } [0, 1)^d

    Args:
        source: of the bits.
        tested: so many numbers of one sequence are put to the tests.
    """

    def __init__(self, spec: DataSpec, *, source: Part[Source] = sources.part("lcg"), tested: Drawn = 1_000_000) -> None:
        super().__init__(source(), tested)
        self.dim = spec.points("random_bits")

    def drawn(self, stream: Stream, n: int) -> Tensor:
        return stream.uniform(n * self.dim).reshape(n, self.dim)
