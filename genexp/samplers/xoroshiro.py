"""xoroshiro128+: two words of 64 bits, whose sum is put out; the next state is a linear map of the bits of this one.

    s₁ ← s₁ ⊕ s₀,   s₀ ← rotl(s₀, 24) ⊕ s₁ ⊕ (s₁ ≪ 16),   s₁ ← rotl(s₁, 37)

One sequence is made in many lanes at once: each begins where the one before will end, a power of that map ahead.

Source: Blackman & Vigna, Scrambled linear pseudorandom number generators (2021).
"""

from functools import cache

import numpy as np

from genexp.samplers.base import Source, State, Words, sources

LANES = 2**12
MASK = 2**64 - 1
BITS = 128


def seeds_of(seed: int, count: int) -> list[int]:
    """Words of 64 bits from a seed, by SplitMix64 (Steele, Lea & Flood 2014)."""
    found = []
    for index in range(1, count + 1):
        z = seed + index * 0x9E3779B97F4A7C15 & MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        found.append(z ^ z >> 31)
    return found


@sources.register("xoroshiro128plus")
class Xoroshiro(Source):
    """xoroshiro128+, of period 2¹²⁸ − 1. Its lowest bits are a linear recurrence, which tests of linearity notice."""

    log2_period = 128.0

    def state(self, seed: int) -> State:
        return tuple(seeds_of(seed, 2))

    def words(self, state: State, n: int) -> Words:
        doublings = min(LANES.bit_length() - 1, max(0, (n // 16).bit_length()))
        length = 1 << max(0, -(-n // (1 << doublings)) - 1).bit_length()  # of a lane: a power of two
        lanes = np.array([state], dtype=np.uint64)
        for doubling in range(doublings):
            lanes = np.concatenate([lanes, ahead(lanes, length << doubling)])
        a, b = np.ascontiguousarray(lanes.T)
        found = np.empty((length, len(a)), dtype=np.uint64)
        for row in found:
            np.add(a, b, out=row)
            a, b = step(a, b)
        return Words(found.T.reshape(-1)[:n], self.jump(state, n))

    def jump(self, state: State, steps: int) -> State:
        x = np.array([state], dtype=np.uint64)
        for power in range(steps.bit_length()):
            if steps >> power & 1:
                x = ahead(x, 1 << power)
        return int(x[0, 0]), int(x[0, 1])


def step(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The next state of each lane."""
    b = b ^ a
    return rotated(a, 24) ^ b ^ (b << np.uint64(16)), rotated(b, 37)


def rotated(x: np.ndarray, by: int) -> np.ndarray:
    """Each word's bits turned to the left."""
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


def ahead(states: np.ndarray, steps: int) -> np.ndarray:
    """States (n, 2) after a power of two of steps: their 128 bits times a matrix of bits."""
    product = _bits(states).astype(np.float32) @ power_of_two(steps.bit_length() - 1).astype(np.float32)
    return _words((product.astype(np.int64) & 1).astype(np.uint8))


@cache
def power_of_two(exponent: int) -> np.ndarray:
    """The matrix of 2^exponent steps, (128, 128): row i is what becomes of bit i alone."""
    if exponent == 0:
        a, b = np.ascontiguousarray(_words(np.eye(BITS, dtype=np.uint8)).T)
        return _bits(np.stack(step(a, b), axis=1))
    half = power_of_two(exponent - 1).astype(np.float32)
    return ((half @ half).astype(np.int64) & 1).astype(np.uint8)


def _bits(states: np.ndarray) -> np.ndarray:
    """(n, 2) words as (n, 128) bits."""
    return np.unpackbits(np.ascontiguousarray(states).view(np.uint8), axis=1)


def _words(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=1).view(np.uint64)
