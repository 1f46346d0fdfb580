"""The QR code by the path and scheduler of the library flow_matching, with the article's network."""

from typing import Any

import torch
from flow_matching.path import AffineProbPath
from flow_matching.path.scheduler import CondOTScheduler
from torch import Tensor, nn

from genexp.article.notebooks.qr_flowmatch import BATCH_SIZE, STEPS, Network, black_pixels, sample
from genexp.article.qualities import leak_or_scan
from genexp.bench.gate import Gate


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels = black_pixels(data.density.mask.cpu(), reach=-data.density.left).to(device)
    net = Network().to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-6)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=STEPS, pct_start=0.1)
    path = AffineProbPath(scheduler=CondOTScheduler())

    def batch_loss() -> Tensor:
        y = pixels[torch.randint(len(pixels), (BATCH_SIZE,), device=device)]
        drawn = path.sample(t=torch.rand(len(y), device=device), x_0=torch.randn_like(y), x_1=y)
        return (net(drawn.x_t, drawn.t) - drawn.dx_t).square().mean()

    gate.announce(net, BATCH_SIZE, batch_loss)
    losses = []
    gate.restart()
    while True:
        gate.step()
        optimizer.zero_grad()
        loss = batch_loss()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if gate.due:
            gate.judge(lambda: leak_or_scan(lambda n: sample(net, n, device), data))
