"""The one place where randomness begins: every use of a run's seed has a sequence of its own."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_for(seed: int, role: str) -> int:
    """A seed for one role of a run ("model", "data", "held-out", …): unrelated between roles and between runs' seeds."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{role}".encode()).digest()[:4], "big")


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from `seed` inside, and outside as if nothing had been drawn inside."""
    accelerator = [torch.empty(0, device=device).device.index or 0] if device.type != "cpu" else []
    kind = device.type if device.type != "cpu" else "cuda"
    with torch.random.fork_rng(devices=accelerator, device_type=kind):
        torch.manual_seed(seed)
        yield
