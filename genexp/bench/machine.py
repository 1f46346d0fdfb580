"""How many floating-point operations a second this machine can do: measured, for products of square matrices."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIDES = (512, 1024, 2048)


@dataclass(frozen=True)
class Peaks:
    """The best rates seen, in GFLOP/s, on `threads` threads."""

    device: str
    threads: int
    float32: float
    bf16: float

    def of(self, precision: str) -> float:
        return {"float32": self.float32, "bf16": self.bf16}[precision]


def measure_peaks(seconds: float = 2.0) -> Peaks:
    """Products in float32 and in bf16, for `seconds` each."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    share = seconds / len(SIDES)
    best = [max(_rate(side, kind, share, device) for side in SIDES) for kind in (torch.float32, torch.bfloat16)]
    return Peaks(str(device), torch.get_num_threads(), *best)


def _rate(side: int, dtype: "torch.dtype", seconds: float, device: "torch.device") -> float:
    import torch

    a, b = torch.randn(2, side, side, device=device).to(dtype)
    a @ b
    best, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        since = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * side**3 / (time.perf_counter() - since))
    return best / 1e9
