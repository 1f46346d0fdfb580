"""What was fitted to examples, so that it is fitted once, whoever asks for it and however the examples are put together."""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor


class Memory:
    """Rows by the examples that they were found for: of the same x and class, the same row. Valid while no weight changes."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Tensor] = {}

    def recall(self, x: Tensor, label: Tensor | None, fit: Callable[[Tensor], Tensor]) -> Tensor:
        """The rows (n, …) of examples x (n, *shape); `fit(positions)` gives those of the examples that are new."""
        keys = keys_of(x, label)
        new = [position for position, key in enumerate(keys) if key not in self.rows]
        if new:
            found = fit(torch.tensor(new, device=x.device))
            self.rows.update((keys[position], row) for position, row in zip(new, found, strict=True))
        return torch.stack([self.rows[key] for key in keys])


def keys_of(x: Tensor, label: Tensor | None) -> list[bytes]:
    """What tells examples apart: digests of their values and classes."""
    classes = [b""] * len(x) if label is None else [str(index).encode() for index in label.tolist()]
    values = x.detach().contiguous().view(torch.uint8).cpu().flatten(1).numpy()
    return [hashlib.sha256(row.tobytes() + name).digest() for row, name in zip(values, classes, strict=True)]
