"""Linear congruential generators, any modulus, multiplier and increment.

    x′ = (a x + c) mod m,   and after k steps x_k = (a^k x + c (a^k − 1)/(a − 1)) mod m: one more generator of the kind.

Source: Knuth, The Art of Computer Programming, volume 2, section 3.2.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from genexp.samplers.base import Source, State, Words, sources
from genexp.samplers.lattice import Vector, most_planes, shortest

Number = Annotated[int, Field(ge=0, le=2**64)]
Modulus = Annotated[int, Field(ge=2, le=2**64)]
Preset = Literal["minstd", "randu", "mmix"]

BLOCK = 2**13  # numbers of one round, which stay in the processor's cache
DIVISORS = 10**6  # by which a period's multiple is divided; of a prime factor greater than that squared nothing is known


@dataclass(frozen=True)
class Map:
    """x → (a x + c) mod m."""

    a: int
    c: int
    m: int

    def __call__(self, x: int) -> int:
        return (self.a * x + self.c) % self.m

    def after(self, first: "Map") -> "Map":
        """First the other, then this one."""
        return Map(self.a * first.a % self.m, self(first.c), self.m)

    def power(self, steps: int) -> "Map":
        """Itself so many times, by squaring."""
        found, square = Map(1, 0, self.m), self
        while steps:
            if steps & 1:
                found = square.after(found)
            square, steps = square.after(square), steps >> 1
        return found

    def each(self, x: np.ndarray) -> np.ndarray:
        """Of each number, exactly."""
        bits = (self.m - 1).bit_length()
        if self.m & (self.m - 1) == 0:  # 2^64 and its divisors are what overflow leaves
            found = x * np.uint64(self.a)
            found += np.uint64(self.c)
            return found if bits == 64 else found & np.uint64(self.m - 1)
        if bits > 62:
            return np.array([self(int(each)) for each in x], dtype=np.uint64)
        if bits <= 32:
            return _mod(_mod(x * np.uint64(self.a), self.m) + np.uint64(self.c), self.m)
        step, found = 63 - bits, np.zeros_like(x)  # so many bits of a at a time: r 2^step + a_i x stays below 2^64
        for shift in reversed(range(0, bits, step)):
            digit = self.a >> shift & ((1 << step) - 1)
            found = _mod((found << np.uint64(step)) + np.uint64(digit) * x, self.m)
        return _mod(found + np.uint64(self.c), self.m)


def _mod(x: np.ndarray, m: int) -> np.ndarray:
    """x mod m, by the division by a constant, which is faster than NumPy's remainder."""
    return x - x // np.uint64(m) * np.uint64(m)


PRESETS: dict[Preset, Map] = {
    "minstd": Map(16807, 0, 2**31 - 1),
    "randu": Map(65539, 0, 2**31),
    "mmix": Map(6364136223846793005, 1442695040888963407, 2**64),
}


@sources.register("lcg")
class LinearCongruential(Source):
    """x′ = (a x + c) mod m. A word is x, a number x/m.

    Args:
        preset: `minstd` (16807, 0, 2³¹ − 1; Park & Miller), `randu` (65539, 0, 2³¹; IBM) or `mmix` (Knuth's, of 2⁶⁴).
        modulus: m; null: the preset's. So are the next two.
        multiplier: a.
        increment: c.
    """

    even = False  # of a power of two, bit k has period 2^(k+1)

    def __init__(
        self,
        *,
        preset: Preset = "minstd",
        modulus: Modulus | None = None,
        multiplier: Number | None = None,
        increment: Number | None = None,
    ) -> None:
        super().__init__()
        given = PRESETS[preset]
        m = given.m if modulus is None else modulus
        a, c = (known if own is None else own for own, known in ((multiplier, given.a), (increment, given.c)))
        self.map = Map(a % m, c % m, m)
        self.width = (m - 1).bit_length()
        self.whole = m == 2**self.width

    def state(self, seed: int) -> State:
        """Without an increment x must not be 0 and, where m is even, must be odd."""
        m = self.map.m
        if self.map.c:
            return (seed % m,)
        return (seed % m | 1,) if m % 2 == 0 else (1 + seed % (m - 1),)

    def words(self, state: State, n: int) -> Words:
        """As many at once as are known already, BLOCK at most, by the map of so many steps."""
        x, known, ahead = np.empty(n + 1, dtype=np.uint64), 1, self.map
        x[0] = state[0]
        while known < n + 1:
            stride = min(known, BLOCK)
            more = min(stride, n + 1 - known)
            x[known : known + more] = ahead.each(x[known - stride :][:more])
            known += more
            if known <= BLOCK:
                ahead = ahead.after(ahead)
        return Words(x[1:], (int(x[-1]),))

    def jump(self, state: State, steps: int) -> State:
        return (self.map.power(steps)(state[0]),)

    def share(self, words: np.ndarray) -> np.ndarray:
        return super().share(words) if self.whole else words / float(self.map.m)

    def period(self, state: State) -> float | None:
        """The least k with x_k = x divides every such k, m λ(m) among them: factor after factor of that is left out."""
        steps = period_of(self.map, state[0])
        return None if steps is None else math.log2(steps)

    @property
    def modulus(self) -> int:  # type: ignore[override]
        """m, or m/4 of a power of two without an increment."""
        m = self.map.m
        return m // 4 if self.map.c == 0 and m & (m - 1) == 0 and m >= 8 else m

    def dual_vector(self, dims: int) -> Vector:
        return shortest(self.map.a, self.modulus, dims)

    def most_planes(self, dims: int) -> float:
        return most_planes(self.map.m, dims)


def period_of(step: Map, x: int) -> int | None:
    """After how many steps x comes again; None where a and m have a common divisor, or where m is too hard to factor."""
    if math.gcd(step.a, step.m) > 1:
        return None
    steps = step.m * step.m
    factors = {*_primes(step.m)}
    for prime in [*factors]:
        factors |= {*_primes(prime - 1)}
        steps *= prime - 1
    if any(prime > DIVISORS**2 for prime in factors):
        return None
    for prime in factors:
        while steps % prime == 0 and step.power(steps // prime)(x) == x:
            steps //= prime
    return steps if step.power(steps)(x) == x else None


def _primes(number: int) -> Iterator[int]:
    """The prime factors; what is left after division by all numbers below 10⁶ is taken for one."""
    divisor = 2
    while divisor * divisor <= number and divisor < DIVISORS:
        if number % divisor == 0:
            yield divisor
            number //= divisor
        else:
            divisor += 1
    if number > 1:
        yield number
