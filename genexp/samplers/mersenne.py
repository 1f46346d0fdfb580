"""The Mersenne twister MT19937: 624 words of 32 bits, renewed together.

    x_{k+624} = x_{k+397} ⊕ (upper bit of x_k, lower 31 of x_{k+1}) A,   and each word is tempered before it is put out.

Source: Matsumoto & Nishimura, Mersenne twister (1998).
"""

import numpy as np

from genexp.samplers.base import Source, State, Words, sources

SIZE, MIDDLE = 624, 397
UPPER, LOWER, TWIST = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x9908B0DF)


@sources.register("mt19937")
class MersenneTwister(Source):
    """MT19937, of period 2¹⁹⁹³⁷ − 1. A state is its 624 words and how many of them are used up.

    It jumps by drawing: the short way is to divide polynomials of degree 19,937 over two elements (Haramoto et al., Efficient
    jump ahead for F₂-linear random number generators, 2008), and is longer than all the rest of this.
    """

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
