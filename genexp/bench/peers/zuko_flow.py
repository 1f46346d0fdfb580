"""The double Gaussian by zuko: eight affine couplings with conditioners of the article's size."""

from typing import Any

import torch
import zuko

from genexp.article.notebooks.double_gaussian import BATCH_SIZE, sample_target
from genexp.article.qualities import kl
from genexp.bench.gate import Gate


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    flow = zuko.flows.RealNVP(features=2, transforms=8, hidden_features=(128, 128)).to(device)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    gate.announce(flow, BATCH_SIZE, lambda: -flow().log_prob(sample_target(BATCH_SIZE, device)).mean())
    losses = []
    gate.restart()
    while True:
        gate.step()
        x = sample_target(BATCH_SIZE, device)
        optimizer.zero_grad()
        loss = -flow().log_prob(x).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if gate.due:
            gate.judge(lambda: kl(flow().log_prob, data))
