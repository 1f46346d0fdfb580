"""The article's QR code by flow matching: 256 random Fourier features, AdamW with OneCycle, batches of 12,288."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from genexp.article.notebooks import Gate
from genexp.article.qualities import leak_or_scan

BATCH_SIZE, STEPS = 12_288, 20_000


class Network(nn.Module):
    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", 10.0 * torch.randn(2, 256))
        self.time = nn.Sequential(nn.Linear(1, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        layers: list[nn.Module] = []
        for before in (512 + 128, 512, 512, 512):
            layers += [nn.Linear(before, 512), nn.SiLU(), nn.LayerNorm(512)]
        self.trunk = nn.Sequential(*layers, nn.Linear(512, 2))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        phase = 2 * math.pi * x @ self.frequencies
        return self.trunk(torch.cat([phase.cos(), phase.sin(), self.time(t[:, None])], dim=1))


def flow_matching_loss(net: nn.Module, y: Tensor) -> Tensor:
    t = torch.rand(len(y), device=y.device)
    x0 = torch.randn_like(y)
    x_t = (1 - t[:, None]) * x0 + t[:, None] * y
    return ((net(x_t, t) - (y - x0)) ** 2).mean()


def black_pixels(mask: Tensor, side: int = 3000, reach: float = 0.8) -> Tensor:
    """Centres of the black pixels of a picture of the code, in [−reach, reach]² with y up: what the article sampled from."""
    scale = side // len(mask)
    black = mask.repeat_interleave(scale, 0).repeat_interleave(scale, 1).nonzero().float()
    across = (black + 0.5) / (scale * len(mask)) * 2 - 1
    return reach * torch.stack([across[:, 1], -across[:, 0]], dim=1)


@torch.no_grad()
def sample(net: nn.Module, n: int, device: torch.device, steps: int = 100) -> Tensor:
    """Euler's method, 100 steps."""
    x = torch.randn(n, 2, device=device)
    for step in range(steps):
        x = x + net(x, torch.full((n,), step / steps, device=device)) / steps
    return x


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reach = -data.density.left
    pixels = black_pixels(data.density.mask.cpu(), reach=reach).to(device)
    net = Network().to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-6)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=STEPS, pct_start=0.1)

    def batch() -> Tensor:
        return pixels[torch.randint(len(pixels), (BATCH_SIZE,), device=device)]

    gate.announce(net, BATCH_SIZE, lambda: flow_matching_loss(net, batch()))
    losses = []
    gate.restart()
    while True:
        gate.step()
        optimizer.zero_grad()
        loss = flow_matching_loss(net, batch())
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if gate.due:
            gate.judge(lambda: leak_or_scan(lambda n: sample(net, n, device), data))
