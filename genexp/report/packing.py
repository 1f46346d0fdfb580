"""Arrays as base64, for the page's scripts."""

import base64

import numpy as np


def packed(array: np.ndarray, kind: str) -> str:
    """The array's values as little-endian `kind` (f2, f4, i2, u1), base64."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=f"<{kind}").tobytes()).decode()


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=f"<{kind}")


def quantised(points: np.ndarray) -> tuple[str, float]:
    """Coordinates as 16-bit integers, and the unit they are in: value = integer × unit."""
    points = points.astype(np.float64)
    unit = float(np.abs(points).max(initial=1e-6)) / 32767
    return packed(np.round(points / unit), "i2"), unit
