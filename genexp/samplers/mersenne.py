"""The Mersenne twister MT19937: 624 words of 32 bits, renewed together.

    x_{k+624} = x_{k+397} ⊕ (upper bit of x_k, lower 31 of x_{k+1}) A,   and each word is tempered before it is put out.

It is a linear map of 19,937 bits, with a characteristic polynomial φ; so with t^J mod φ(t) = Σ_i g_i tⁱ the words J places on are

    x_{k+J} = Σ_i g_i x_{k+i}   (k ≥ 1, sums of bits modulo 2).

Sources: Matsumoto & Nishimura, Mersenne twister (1998); Haramoto et al., Efficient jump ahead for F₂-linear random number
generators (2008).
"""

from functools import cache

import numpy as np

from genexp.samplers.base import Source, State, Words, sources
from genexp.samplers.polynomials import Modulus, coefficients, product

SIZE, MIDDLE = 624, 397
UPPER, LOWER, TWIST = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x9908B0DF)
FAR = 2_000  # renewals, from which on it takes less time to jump than to draw


@sources.register("mt19937")
class MersenneTwister(Source):
    """MT19937, of period 2¹⁹⁹³⁷ − 1. A state is its 624 words and how many of them are used up."""

    width = 32
    log2_period = 19_937.0

    def state(self, seed: int) -> State:
        """As its authors' `init_genrand` begins, with 32 bits of a seed."""
        words = [seed & 0xFFFFFFFF]
        for index in range(1, SIZE):
            words.append(1812433253 * (words[-1] ^ words[-1] >> 30) + index & 0xFFFFFFFF)
        return (*words, SIZE)

    def words(self, state: State, n: int) -> Words:
        x, used = np.array(state[:SIZE], dtype=np.uint32), state[SIZE]
        found, have = [x[used : used + n]], min(n, SIZE - used)
        used += have
        while have < n:
            x = renewed(x)
            used = min(SIZE, n - have)
            found.append(x[:used])
            have += used
        return Words(tempered(np.concatenate(found)).astype(np.uint64), (*x.tolist(), used))

    def jump(self, state: State, steps: int) -> State:
        x, used = np.array(state[:SIZE], dtype=np.uint32), state[SIZE] + steps
        renewals = max(0, -(-used // SIZE) - 1)
        if renewals < FAR:
            for _ in range(renewals):
                x = renewed(x)
        else:
            x = ahead(x, renewals * SIZE)
        return (*x.tolist(), used - renewals * SIZE)


def ahead(x: np.ndarray, steps: int) -> np.ndarray:
    """The 624 words that are `steps` places on, at least one."""
    modulus = characteristic()
    blocks = [x]
    while len(blocks) * SIZE <= modulus.degree + SIZE:
        blocks.append(renewed(blocks[-1]))
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate(blocks)[1:], SIZE)  # of x₀ only one bit is in the map
    chosen = np.flatnonzero(modulus.power(steps - 1))
    return np.bitwise_xor.reduce([np.bitwise_xor.reduce(windows[part]) for part in np.array_split(chosen, 64)])


@cache
def characteristic() -> Modulus:
    """φ(t) = A B³¹ + Σ_{i<31} a_i A B^(30−i) + a_31, with A = t^624 + t^397, B = t^623 + t^396 and the bits a_i of the twist."""
    a, b = 1 << SIZE | 1 << MIDDLE, 1 << SIZE - 1 | 1 << MIDDLE - 1
    power, phi = a, int(TWIST) >> 31
    for place in reversed(range(31)):
        phi ^= power if int(TWIST) >> place & 1 else 0
        power = product(b, power)
    return Modulus(coefficients(phi ^ power))


def renewed(x: np.ndarray) -> np.ndarray:
    """The next 624 words: three stretches of at most 227, none of which needs its own."""
    new = np.concatenate([x, np.empty_like(x)])
    for start in range(0, SIZE, SIZE - MIDDLE):
        end = min(SIZE, start + SIZE - MIDDLE)
        joined = (new[start:end] & UPPER) | (new[start + 1 : end + 1] & LOWER)
        twisted = (joined >> np.uint32(1)) ^ (TWIST * (joined & np.uint32(1)))
        new[SIZE + start : SIZE + end] = new[MIDDLE + start : MIDDLE + end] ^ twisted
    return new[SIZE:]


def tempered(x: np.ndarray) -> np.ndarray:
    """Words as they are put out."""
    x = x ^ (x >> np.uint32(11))
    x = x ^ ((x << np.uint32(7)) & np.uint32(0x9D2C5680))
    x = x ^ ((x << np.uint32(15)) & np.uint32(0xEFC60000))
    return x ^ (x >> np.uint32(18))
