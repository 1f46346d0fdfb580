"""`model=random_numbers`: uniform numbers of a source of random bits, turned into points of a known distribution."""

from torch import Tensor

from genexp.capabilities import Ability
from genexp.data.base import DataSpec
from genexp.models.random_bits import Sampling
from genexp.registry import Part, models
from genexp.samplers.base import Bits, Source, Stream, Transform, sources, transforms
from genexp.settings import Drawn


@models.register("random_numbers")
class Transformed(Sampling):
    r"""Samples x = f(u₁, u₂, …) of uniform numbers. It learns nothing: the distribution is in its settings.

    In short:
        Nothing is learnt: uniform numbers go through a transform that is known, which makes of them points of a known
        distribution.

    Equation:
        x = f(u_1, u_2, …), \qquad u_i \sim U[0, 1)

    Args:
        source: of the bits.
        transform: f.
        bits: of each uniform number.
        tested: so many numbers of one sequence are put to the tests.
    """

    can: frozenset[Ability] = frozenset({"sample", "bits", "stages"})

    def __init__(
        self,
        spec: DataSpec,
        *,
        source: Part[Source] = sources.part("pcg64"),
        transform: Part[Transform] = transforms.part("box_muller"),
        bits: Bits = 32,
        tested: Drawn = 1_000_000,
    ) -> None:
        super().__init__(source(), tested)
        self.transform, self.bits = transform(spec.points("random_numbers")), bits

    def stream(self, seed: int) -> Stream:
        return Stream(self.source, seed, self.bits)

    def drawn(self, stream: Stream, n: int) -> Tensor:
        return self.transform.draw(stream, n).x
