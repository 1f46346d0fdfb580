"""The modules of an upright code in a picture of points: where their grid lies, to a fraction of a pixel."""

import numpy as np

from genexp.data.picture import CODE_SIDES, find_modules

AGREEMENT = 0.85  # of the pixels of a drawn code with their module: corners are blurred, edges rough
INSETS = (1, 2, 0)  # pixels by which its outline is drawn in: blur and stray samples make it wider
STEPS = (1.0, 0.5, 0.25, 0.125)  # pixels by which its edges are moved
ROUNDS = 4  # at each step, at most


def modules_in(picture: np.ndarray) -> np.ndarray | None:
    """The modules, each by the majority of its pixels; None where no code is found. A quarter of a module off, a large code is
    lost: so its outline is moved to where pixels agree most. Rows and columns with less black than a module of the largest
    code are not the code's.
    """
    black = picture < 128
    least = len(black) / (CODE_SIDES[-1] + 8)
    rows, columns = (np.flatnonzero(black.sum(axis) > least) for axis in (1, 0))
    if not (len(rows) and len(columns)):
        return None
    for inset in INSETS:
        (top, bottom), (left, right) = ((lines[0] + inset, lines[-1] + 1 - inset) for lines in (rows, columns))
        found = find_modules(black[top:bottom, left:right], AGREEMENT)
        if found is not None:
            ink = np.pad(black.cumsum(0).cumsum(1), ((1, 0), (1, 0))).astype(float)
            edges = fitted(ink, np.array([top, bottom, left, right], dtype=float), len(found))
            return shares(ink, edges, len(found)) > 0.5
    return None


def fitted(ink: np.ndarray, edges: np.ndarray, n: int) -> np.ndarray:
    """Top, bottom, left and right edge of n × n modules, moved one at a time, by ever smaller steps, for as long as the pixels
    agree better with the majority of their module. `ink` is the sum of black above and left of each corner of a pixel.
    """
    best = agreement(ink, edges, n)
    for step in STEPS:
        for _ in range(ROUNDS):
            before = best
            for edge in range(4):
                for way in (-step, step):
                    moved = edges.copy()
                    moved[edge] += way
                    if (found := agreement(ink, moved, n)) > best:
                        edges, best = moved, found
            if best == before:
                break
    return edges


def agreement(ink: np.ndarray, edges: np.ndarray, n: int) -> float:
    """The share of pixels that agree with the majority of their module."""
    black = shares(ink, edges, n)
    return float(np.maximum(black, 1 - black).mean())


def shares(ink: np.ndarray, edges: np.ndarray, n: int) -> np.ndarray:
    """How much of each of n × n modules within these edges is black, (n, n); pixels that an edge cuts count in part."""
    top, bottom, left, right = edges
    rows, columns = np.linspace(top, bottom, n + 1), np.linspace(left, right, n + 1)
    sums = between(between(ink, rows).T, columns).T
    return np.diff(np.diff(sums, axis=0), axis=1) * (n / (bottom - top)) * (n / (right - left))


def between(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows of a table at places that are no whole numbers, linearly between its rows; beyond it, its first and last."""
    places = places.clip(0, len(table) - 1)
    low = np.minimum(places.astype(int), len(table) - 2)
    part = (places - low)[:, None]
    return table[low] * (1 - part) + table[low + 1] * part
