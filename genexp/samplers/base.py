"""What a source of random bits and a transform of its numbers are. Both are functions of a state that they do not hold."""

import sys
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from genexp.registry import Registry

State = tuple[int, ...]
Bits = Literal[24, 32, 53]  # of a uniform number: k 2^−bits, k = 0, 1, …
MOST_SEEDS = 2**62
HIGH = 1 if sys.byteorder == "little" else 0  # which of the two halves of a word is the upper one


@dataclass(frozen=True)
class Words:
    """n words, (n,), uint64; and the state after them."""

    words: np.ndarray
    state: State


class Source(nn.Module):
    """A generator of random bits.

    Told when built: nothing. `width`: bits of a word. `log2_period`: log₂ of how many words come before it begins again, for
    every state, where that is known of it.
    """

    width = 64
    log2_period: float | None = None
    even = True  # whether the lower half of a word is as good as the upper one
    whole = True  # whether a word is any of 2^width, and its bits by themselves are random
    modulus = 0  # of the lattice that successive numbers lie on; 0: there is none

    def state(self, seed: int) -> State:
        """Where a sequence begins, for a seed of at least 0."""
        raise NotImplementedError

    def words(self, state: State, n: int) -> Words:
        """The next n words."""
        raise NotImplementedError

    def jump(self, state: State, steps: int) -> State:
        """The state after so many words. Where the algorithm has no shorter way, by drawing them."""
        for start in range(0, steps, 2**16):
            state = self.words(state, min(2**16, steps - start)).state
        return state

    def share(self, words: np.ndarray) -> np.ndarray:
        """Words as numbers in [0, 1), float64: their highest 53 bits."""
        drop = max(0, self.width - 53)
        return (words >> np.uint64(drop)) * 2.0 ** (drop - self.width)

    def period(self, state: State) -> float | None:
        """log₂ of the period from that state; None where it cannot be found."""
        return self.log2_period

    def dual_vector(self, dims: int) -> tuple[int, ...]:
        """Of one with a modulus: whole numbers s, so that all points x of `dims` successive numbers lie on planes s·x = integer
        (but for a shift), and no others are further apart.
        """
        raise NotImplementedError

    def most_planes(self, dims: int) -> float:
        """Of one with a modulus: no more planes than this hold all points, whatever the multiplier."""
        raise NotImplementedError


class Stream:
    """Uniform numbers of one sequence, one after the other.

    Args:
        source: of the bits.
        seed: where it begins.
        bits: of each number; they come from a word of their own, or two from one that is long enough and even.
    """

    def __init__(self, source: Source, seed: int, bits: Bits = 53) -> None:
        self.source, self.bits = source, bits
        self.state = source.state(seed)

    def words(self, n: int) -> np.ndarray:
        found = self.source.words(self.state, n)
        self.state = found.state
        return found.words

    def uniform(self, n: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """n numbers k 2^−bits in [0, 1), (n,)."""
        if self.bits <= 32 and self.source.width == 64 and self.source.whole:
            even = self.source.even
            k = self.words((n + 1) // 2).view(np.uint32)[:n] if even else self.words(n).view(np.uint32)[HIGH::2]
            if self.bits < 32:
                k = k >> np.uint32(32 - self.bits)
            return torch.from_numpy(k.astype(np.float32 if dtype == torch.float32 else np.float64)).mul_(2.0**-self.bits)
        share = np.floor(self.source.share(self.words(n)) * 2.0**self.bits) * 2.0**-self.bits
        return torch.from_numpy(share).to(dtype)

    def positive(self, n: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """n numbers (k + 1) 2^−bits in (0, 1], (n,): of none is the logarithm infinite."""
        return self.uniform(n, dtype).add_(2.0**-self.bits)

    def inside(self, n: int) -> Tensor:
        """n numbers (k + ½) 2^−bits in (0, 1), (n,)."""
        return self.uniform(n).add_(2.0 ** -(self.bits + 1)).clamp_(max=1 - 2.0**-53)


@dataclass(frozen=True)
class Stage:
    """One step on the way: points (n, dim), and `uniformised`, what is uniform on [0, 1)^dim of them if all is right, (n, dim).

    `colour`: a number in [0, 1] by which a point is known again in the next stage, (n,); NaN: it goes no further.
    """

    name: str
    x: Tensor
    uniformised: Tensor
    colour: Tensor | None = None


@dataclass(frozen=True)
class Drawn:
    """Points (n, dim), and how many were `proposed` and `kept` on the way, where some are not."""

    x: Tensor
    proposed: int = 0
    kept: int = 0


class Transform(nn.Module):
    """Uniform numbers → points of a known distribution.

    Told when built: `dim`. `acceptance`: the share of what is proposed that is kept, in theory; None where all is.
    `covariance`: Σ in theory, (dim, dim); `table_error`: by how much F(x) is wrong at most where x is read off a table.
    """

    acceptance: float | None = None
    covariance: Tensor | None = None
    table_error: float | None = None

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def draw(self, stream: Stream, n: int) -> Drawn:
        """n points, (n, dim)."""
        raise NotImplementedError

    def uniformised(self, x: Tensor) -> Tensor:
        """Rosenblatt's transform, (n, dim), float64: F(x₁), F(x₂|x₁), …, uniform and independent if x is as it should be."""
        raise NotImplementedError

    def stages(self, stream: Stream, n: int) -> list[Stage]:
        """n points on their way from uniform numbers."""
        x = self.draw(stream, n).x
        return [Stage("samples", x, self.uniformised(x))]

    def largest(self, bits: int) -> float | None:
        """No coordinate's |x| is above this, whatever numbers of so many bits there are; None where that is not known."""
        return None


def standard_cdf(x: Tensor) -> Tensor:
    """Φ of each number."""
    return torch.special.ndtr(x.double())


sources = Registry("source", "genexp.samplers", Source)
transforms = Registry("transform", "genexp.samplers", Transform)
