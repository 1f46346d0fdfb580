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


def patches(x: Tensor, places: Tensor, size: int, before: bool = False) -> Tensor:
    """The windows of size × size around some pixels, (m, size²), or what comes before these, (m, (size² − 1)/2); outside of the
    picture 0. x (n, height, width); `places` (m,) number the pixels of all pictures one after another.

    Rows of windows are laid out once and copied whole, which is several times faster than pixel by pixel.
    """
    reach, (height, width) = size // 2, x.shape[1:]
    wide = F.pad(x, (reach, reach, reach, 0 if before else reach))
    rows = wide.unfold(2, size, 1).reshape(-1, size)  # of all windows: (n · wide rows · width, size)
    first = places + places // (height * width) * ((wide.shape[1] - height) * width)
    count = reach + 1 if before else size
    found = rows.index_select(0, (first[:, None] + width * torch.arange(count, device=x.device)).flatten())
    found = found.view(len(places), count * size)
    return found[:, : len(causal_places(size))] if before else found


def any_before(x: Tensor, size: int) -> Tensor:
    """Where in pictures (n, height, width) of zeros and ones any pixel of the window that comes before is 1."""
    reach, (height, width) = size // 2, x.shape[1:]
    wide = F.pad(x.byte(), (reach, reach, reach, 0))
    above = running_max(running_max(wide, size, 2), reach, 1)[:, :height]
    return torch.maximum(above, running_max(wide[:, reach:], reach, 2)[..., :width]) > 0


def running_max(x: Tensor, size: int, axis: int) -> Tensor:
    """The largest of every `size` numbers in a row, of which there are size − 1 fewer: by maxima over 2, 4, 8 … of them."""
    known = 1
    while known < size:
        step = min(known, size - known)
        count = x.shape[axis] - step
        x, known = torch.maximum(x.narrow(axis, 0, count), x.narrow(axis, step, count)), known + step
    return x


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
