"""Flows by zuko: affine couplings of the article's size, and flows of the kinds and sizes in `genexp.bench.cases`."""

from collections.abc import Callable
from typing import Any

import torch
import zuko
from torch import Tensor

from genexp.article.notebooks.double_gaussian import BATCH_SIZE, sample_target
from genexp.article.qualities import kl
from genexp.bench.gate import Gate

DEPTH, HIDDEN, BINS = 5, (64, 64), 8


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    flow = zuko.flows.RealNVP(features=2, transforms=8, hidden_features=(128, 128)).to(device)
    fit(flow, lambda: sample_target(BATCH_SIZE, device), data, gate)


def maf(data: Any, gate: Gate) -> None:
    fit_to(data, gate, zuko.flows.MAF(data.spec.shape[0], transforms=DEPTH, hidden_features=HIDDEN))


def spline_autoregressive(data: Any, gate: Gate) -> None:
    fit_to(data, gate, zuko.flows.NSF(data.spec.shape[0], transforms=DEPTH, bins=BINS, hidden_features=HIDDEN))


def spline_coupling(data: Any, gate: Gate) -> None:
    """Its autoregressive flow in two passes is one of couplings."""
    fit_to(data, gate, zuko.flows.NSF(data.spec.shape[0], transforms=DEPTH, bins=BINS, hidden_features=HIDDEN, passes=2))


def fit_to(data: Any, gate: Gate, flow: Any) -> None:
    """On fresh examples of the data set."""
    stream = data.train_stream(BATCH_SIZE, 0)
    fit(flow.to(data.device), lambda: stream.next().x, data, gate)


def fit(flow: Any, batch: Callable[[], Tensor], data: Any, gate: Gate) -> None:
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    gate.announce(flow, BATCH_SIZE, lambda: -flow().log_prob(batch()).mean())
    losses = []
    gate.restart()
    while True:
        gate.step()
        x = batch()
        optimizer.zero_grad()
        loss = -flow().log_prob(x).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if gate.due:
            gate.judge(lambda: kl(flow().log_prob, data))
