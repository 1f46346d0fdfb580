"""The one place where a device and a precision are chosen."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import torch

from genexp.errors import UserError, unknown
from genexp.machine.garbage import started
from genexp.machine.launch import launch
from genexp.machine.memory import limit_memory

_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # of mallopt(3)


def prepare_cpu() -> None:
    """Settings of the process, once all is imported: not more memory than there is; and two that make CPUs several times, and
    about 1.3 times, faster at no cost in numbers.

    Denormal numbers are flushed to zero. And memory that is freed stays with the process, where the C library is glibc:
    by default it goes back to the kernel after every large tensor, and comes back zeroed, page by page.
    """
    started()
    torch.set_flush_denormal(True)
    if not torch.cuda.is_available():  # which reserves addresses for far more than there is
        limit_memory()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)


@contextmanager
def on_threads(most: int | None) -> Iterator[None]:
    """Let an operation of the CPU be shared among `most` threads, no more than there are otherwise; None changes nothing."""
    usual = torch.get_num_threads()
    torch.set_num_threads(min(most or usual, usual))
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def choose_device(name: str) -> torch.device:
    """The device to run on; `auto` takes CUDA where there is one, else the CPU. UserError when there is none of that name.

    Apple's MPS is only taken when asked for: exact resume and some closed forms have not been tried on it.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if name not in there:
        raise unknown("device", name, ("auto", *there))
    if not there[name]:
        raise UserError(f"device={name}: this machine has none", hint="device=cpu, or device=auto")
    return _gpu_of_this_process() if name == "cuda" else torch.device(name)


def _gpu_of_this_process() -> torch.device:
    """The first GPU; of the processes that torchrun starts, each on a machine takes its own."""
    start = launch()
    if start.local_size > torch.cuda.device_count():
        there = f"{start.local_size} processes on this machine, and {torch.cuda.device_count()} GPUs"
        raise UserError(there, hint=f"torchrun --nproc-per-node={torch.cuda.device_count()}, or device=cpu")
    if start.size == 1:
        return torch.device("cuda")
    torch.cuda.set_device(start.local_rank)
    return torch.device("cuda", start.local_rank)


def wait_for(device: torch.device) -> None:
    """Return when the device has done what it was asked for, so that a clock can be read: Python goes on while an accelerator
    computes. On the CPU nothing is ever left to do.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def choose_precision(name: str, device: torch.device) -> str:
    """`float32` or `bf16`; `auto` takes bf16 where the hardware multiplies it faster than float32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    flags = torch.cpu.get_capabilities() if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if flags.get("avx512_bf16") or flags.get("amx_bf16") else "float32"


def all_digits(device: torch.device) -> AbstractContextManager[Any]:
    """Inside, nothing is done in bfloat16, whatever `autocast` asked for outside; entered at no cost where nothing did."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Matrix products in bfloat16 for `bf16`; weights, losses and everything delicate stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
