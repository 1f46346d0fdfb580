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
    with unmoved(device):
        if device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would be for all accelerators, too
        else:
            torch.manual_seed(seed)
        yield


@contextmanager
def unmoved(device: torch.device) -> Iterator[None]:
    """Random numbers of the CPU and of the device are outside as if nothing had been drawn, or seeded, inside."""
    accelerator = [torch.empty(0, device=device).device.index or 0] if device.type != "cpu" else []
    with torch.random.fork_rng(devices=accelerator, device_type=device.type if accelerator else "cuda"):
        yield
