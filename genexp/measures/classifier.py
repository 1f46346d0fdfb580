"""A small convolutional classifier, trained on a data set's own training pictures: a second opinion on samples."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.data.images import ImageSet
from genexp.optim.adam import Adam
from genexp.optim.schedule import one_cycle

_SIDE = 32


class Classifier(nn.Module):
    """Pictures (n, channels, side, side) → class logits (n, classes); `features` are the 64 numbers before the last layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(channels, 16, 3, stride=2, padding=1), nn.SiLU()),
            *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.SiLU()),
            *(nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.SiLU()),
            *(nn.Flatten(), nn.Linear(32 * (_SIDE // 8) ** 2, 64), nn.SiLU()),
        )
        self.last = nn.Linear(64, classes)

    def features(self, x: Tensor) -> Tensor:
        if x.shape[-1] != _SIDE or x.shape[-2] != _SIDE:
            x = F.interpolate(x, (_SIDE, _SIDE), mode="bilinear", antialias=True)
        return self.net(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.features(x))


def train_classifier(pictures: ImageSet, classes: int, steps: int = 400, batch_size: int = 128) -> Classifier:
    """Cross-entropy by Adam on a one-cycle schedule. Random numbers are those of the moment: seed them outside."""
    assert pictures.label is not None
    size = (_SIDE, _SIDE)
    parts = [F.interpolate(part.float() / 255, size, mode="bilinear", antialias=True) for part in pictures.x.split(2048)]
    x = torch.cat(parts)
    model = Classifier(x.shape[1], classes).to(x.device)
    optimizer = Adam(model.parameters(), lr=3e-3, weight_decay=0.05, decoupled=True)
    with torch.enable_grad():
        for rate in one_cycle(steps):
            index = torch.randint(len(x), (min(batch_size, len(x)),), device=x.device)
            loss = F.cross_entropy(model(x[index]), pictures.label[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.follow(rate)
            optimizer.step()
    return model.eval()


@torch.no_grad()
def in_parts(function: nn.Module, x: Tensor, size: int = 1024) -> Tensor:
    """`function` of many examples, a part at a time."""
    return torch.cat([function(part) for part in x.split(size)])
