"""PCG64: a linear congruential generator of 128 bits, whose state is folded and turned by its own highest bits.

    s ← a s + c mod 2¹²⁸,   word = rotr(s_high ⊕ s_low, s ≫ 122)

Source: O'Neill, PCG: a family of simple fast space-efficient statistically good algorithms (2014); the XSL-RR form, which is
numpy.random.PCG64.
"""

import numpy as np

from genexp.samplers.base import Source, State, Words, sources
from genexp.samplers.lcg import Map
from genexp.samplers.xoroshiro import MASK, seeds_of

MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
BLOCK = 2**12  # numbers of one round, which stay in the processor's cache
LOW = np.uint64(2**32 - 1)
HALF = np.uint64(32)


@sources.register("pcg64")
class PCG64(Source):
    """PCG XSL-RR 128/64, of period 2¹²⁸. A state is (s, c), whole numbers of 128 bits."""

    log2_period = 128.0

    def state(self, seed: int) -> State:
        """As its author's `srandom` begins: s = c + seed, one step on, and c odd."""
        high, low, first, second = seeds_of(seed, 4)
        c = (first << 64 | second) << 1 & (1 << 128) - 1 | 1
        return _step(c)((high << 64 | low) + c), c

    def words(self, state: State, n: int) -> Words:
        s, c = state
        step = ahead = _step(c)
        high, low = np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint64)
        if n:
            s = step(s)  # which is put out first
            high[0], low[0], known = s >> 64, s & MASK, 1
            while known < n:  # as many at once as are known, BLOCK at most
                before = known - min(known, BLOCK)
                more = min(known, BLOCK, n - known)
                moved = times_plus(high[before:][:more], low[before:][:more], ahead.a, ahead.c)
                high[known : known + more], low[known : known + more] = moved
                known += more
                if known <= BLOCK:
                    ahead = ahead.after(ahead)
            s = int(high[-1]) << 64 | int(low[-1])
        turn = high >> np.uint64(58)
        folded = high ^ low
        return Words((folded >> turn) | (folded << (np.uint64(64) - turn & np.uint64(63))), (s, c))

    def jump(self, state: State, steps: int) -> State:
        return _step(state[1]).power(steps)(state[0]), state[1]


def _step(c: int) -> Map:
    return Map(MULTIPLIER, c, 2**128)


def times_plus(high: np.ndarray, low: np.ndarray, a: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    """a x + c mod 2¹²⁸ of numbers x in two halves: the high and the low one of each."""
    a_high, a_low = np.uint64(a >> 64), np.uint64(a & MASK)
    c_high, c_low = np.uint64(c >> 64), np.uint64(c & MASK)
    found = low * a_low + c_low
    carried = found < c_low
    return high_half(low, a_low) + low * a_high + high * a_low + c_high + carried, found


def high_half(x: np.ndarray, y: np.uint64) -> np.ndarray:
    """The upper 64 of the 128 bits of x y, by four products of 32 bits each."""
    x_low, x_high, y_low, y_high = x & LOW, x >> HALF, y & LOW, y >> HALF
    middle = x_high * y_low + (x_low * y_low >> HALF)
    other = x_low * y_high + (middle & LOW)
    return x_high * y_high + (middle >> HALF) + (other >> HALF)
