"""The pixels before each one that lie near it: windows of a picture in the order of rows, and a way to visit pixels by them."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

Places = list[tuple[int, int]]


def causal_places(size: int) -> Places:
    """Rows and columns, from the pixel itself, of those in a window of size × size that come before it: (size² − 1)/2."""
    reach = size // 2
    square = [(row, column) for row in range(-reach, 1) for column in range(-reach, reach + 1)]
    return [place for place in square if place < (0, 0)]


def causal_windows(x: Tensor, size: int) -> Tensor:
    """Pictures (n, height, width) → what lies before each pixel, (places, n, height, width); outside of the picture 0."""
    reach, (height, width) = size // 2, x.shape[1:]
    wide = F.pad(x, (reach, reach, reach, 0))
    corners = [(row + reach, column + reach) for row, column in causal_places(size)]
    return torch.stack([wide[:, row : row + height, column : column + width] for row, column in corners])


def wavefronts(height: int, width: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of pixels that may be drawn together: all that their windows hold has been drawn before.

    Pixel (r, c) sees r − 1 up to c + reach, and so is drawn at time c + (reach + 1) r: (reach + 1)(height − 1) + width steps in
    place of height · width.
    """
    slope = size // 2 + 1
    for time in range(slope * (height - 1) + width):
        rows = torch.arange(height)
        columns = time - slope * rows
        inside = (columns >= 0) & (columns < width)
        if inside.any():
            yield rows[inside], columns[inside]
