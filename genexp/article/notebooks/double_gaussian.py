"""The article's double Gaussian: eight affine couplings of nflows, Adam at 1e-3, fresh batches of 512."""

from typing import Any

import torch
from nflows.distributions import StandardNormal
from nflows.flows import Flow
from nflows.transforms import AffineCouplingTransform, CompositeTransform
from torch import Tensor, nn

from genexp.article.notebooks import Gate
from genexp.article.qualities import kl

BATCH_SIZE = 512


class Conditioner(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.net(x)


def make_flow() -> Flow:
    masks = [[1, -1] if layer % 2 == 0 else [-1, 1] for layer in range(8)]
    return Flow(CompositeTransform([AffineCouplingTransform(mask, Conditioner) for mask in masks]), StandardNormal([2]))


def sample_target(n: int, device: torch.device) -> Tensor:
    which = torch.randint(0, 2, (n,), device=device)
    means = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], device=device)
    return means[which] + torch.tensor([0.5, 0.8], device=device) * torch.randn(n, 2, device=device)


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    flow = make_flow().to(device)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    gate.announce(flow, BATCH_SIZE, lambda: -flow.log_prob(sample_target(BATCH_SIZE, device)).mean())
    losses = []
    gate.restart()
    while True:
        gate.step()
        x = sample_target(BATCH_SIZE, device)
        optimizer.zero_grad()
        loss = -flow.log_prob(x).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if gate.due:
            gate.judge(lambda: kl(flow.log_prob, data))
