"""Pictures that are no longer of their data set: test pictures, altered. By these names `evaluation.anomalies` asks for them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.data.images import ImageSet

Alter = Callable[[Tensor], Tensor]  # greys (n, channels, height, width) in [0, 1] → others


def blurred(x: Tensor) -> Tensor:
    """Each pixel the mean of the nine around it, twice."""
    for _ in range(2):
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return x


def faded(x: Tensor) -> Tensor:
    """Half as bright."""
    return x / 2


def shuffled(x: Tensor) -> Tensor:
    """The pixels of each in an order of its own."""
    pixels = x.flatten(2)
    order = torch.rand(len(x), pixels.shape[2], generator=torch.Generator().manual_seed(0)).argsort(1).to(x.device)
    return pixels.gather(2, order[:, None].expand_as(pixels)).view_as(x)


MADE: dict[str, Alter] = {
    "blurred": blurred,
    "faded": faded,
    "black": torch.zeros_like,
    "inverted": lambda x: 1 - x,
    "shuffled": shuffled,
}


def made(test: ImageSet, alter: Alter) -> ImageSet:
    """The same pictures altered, as bytes; of zeros and ones zeros and ones."""
    bits = bool(((test.x == 0) | (test.x == 255)).all())
    x = alter(test.x.float() / 255)
    return ImageSet((255 * (x.round() if bits else x)).round().to(torch.uint8), test.label)
