"""The system's entropy, stretched as an operating system stretches it: a secret key, and a cryptographic function of it.

    block k of seed r = SHAKE-128(key, r, k)

Source: FIPS 202 (2015).
"""

import hashlib
import os

import numpy as np
import torch
from torch import Tensor

from genexp.samplers.base import Source, State, Words, sources

BLOCK = 2**12  # words that are computed at once
KEY = 32  # bytes


@sources.register("entropy")
class Entropy(Source):
    """Bits from the system's entropy. The key of 256 bits is read when the source is made, and kept in the checkpoint: a
    run can be measured again, and no other run has the same numbers. A state is the seed and a place.
    """

    key: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("key", torch.frombuffer(bytearray(os.urandom(KEY)), dtype=torch.uint8))

    def state(self, seed: int) -> State:
        return seed, 0

    def words(self, state: State, n: int) -> Words:
        seed, place = state
        first, last = place // BLOCK, (place + max(n, 1) - 1) // BLOCK
        key = bytes(self.key.tolist()) + seed.to_bytes(16, "big")
        blocks = b"".join(hashlib.shake_128(key + k.to_bytes(16, "big")).digest(8 * BLOCK) for k in range(first, last + 1))
        start = place - first * BLOCK
        return Words(np.frombuffer(blocks, dtype=np.uint64)[start : start + n], (seed, place + n))

    def jump(self, state: State, steps: int) -> State:
        return state[0], state[1] + steps
