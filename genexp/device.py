"""The one place where a device and a precision are chosen."""

import torch

from genexp.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device to run on; `auto` takes CUDA where there is one, else the CPU. UserError when there is none of that name.

    Apple's MPS is only taken when asked for: exact resume and some closed forms have not been tried on it.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there[name]:
        raise UserError(f"device={name}: this machine has none", hint="device=cpu, or device=auto")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """`float32` or `bf16`; `auto` takes bf16 where the hardware multiplies it faster than float32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    flags = torch.cpu.get_capabilities() if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if flags.get("avx512_bf16") or flags.get("amx_bf16") else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Matrix products in bfloat16 for `bf16`; weights, losses and everything delicate stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
