"""Checkpoints: atomic, verified, safe to load.

A checkpoint is a dictionary of tensors and plain Python values. It is written to a temporary name, synced, loaded
again to see that it is whole, and only then renamed. Loading never executes anything (`weights_only=True`).
"""

from pathlib import Path
from typing import Any

import torch

from genexp.errors import UserError, circumstance
from genexp.files import Replacing
from genexp.folder.earlier import weights

FORMAT = 1
CHANGED = "a file of the run was changed, or the model since then in genexp; the samples and numbers that it left stay valid"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state`; afterwards `path` holds either all of it or what it held before."""
    with Replacing(path) as (temporary, _):
        try:
            with temporary.open("wb") as file:  # whose errors say what is wrong, unlike those of torch's own
                torch.save({"format": FORMAT, **state}, file)
        except RuntimeError as failure:  # torch, closing what could not be written
            raise (failure.__context__ if isinstance(failure.__context__, OSError) else failure) from None
        load(temporary)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The state in `path`, its weights by their names of today; UserError when it is missing, damaged, or no checkpoint."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is not a file")
        state = torch.load(path, map_location=device, weights_only=True)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(
            f"no checkpoint at {path}: nothing had been saved yet",
            hint="if it trains, wait for its first checkpoint; if it has stopped: genexp run",
        ) from None
    except OSError as failure:
        raise UserError(f"{path} cannot be read: {failure.strerror or failure}") from None
    except Exception as failure:  # of the many that an untrusted file can bring about
        if circumstance(failure):
            raise
        raise UserError(f"{path} is damaged or not a genexp checkpoint") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path} is not a checkpoint of this version of genexp")
    return {key: weights(value) if key in ("model", "average") else value for key, value in state.items()}


def random_state(device: torch.device) -> dict[str, Any]:
    """The state of every random number generator that training on `device` draws from."""
    return {"cpu": torch.get_rng_state(), "cuda": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []}


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"][0].cpu(), device)
