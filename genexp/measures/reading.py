"""What a text costs a model that goes on learning while it reads, as a compressor does: dynamic evaluation.

Every character is counted before it is learnt from, so that its cost is −log₂ of a probability given what came before.
Source: Krause et al., Dynamic Evaluation of Neural Sequence Models (2018).
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor

from genexp.machine.device import all_digits
from genexp.measures.record import Value, measure
from genexp.optim.adam import Adam
from genexp.subject import Subject

RATES = (0.0, 3e-4, 1e-3)  # of Adam; 0 learns nothing
VALIDATED = 80  # passages of the validation part that one of them is chosen by


@torch.enable_grad()
def read(model: Any, text: Tensor, length: int, rate: float) -> Tensor:
    """−ln p of each character of the text (characters,), but for the last few; the model itself stays as it is.

    Passages overlap by half: of each but the first the second half is counted, and then a step of Adam is made on it.
    """
    model, half = copy.deepcopy(model).eval(), length // 2
    found: list[Tensor] = []
    optimizer = Adam(model.parameters(), lr=rate, betas=(0.9, 0.99))
    for passage in text.unfold(0, length, length - half):
        nats = model.nats(passage[None])[0][half if found else 0 :]
        found.append(nats.detach().double().cpu())
        if rate > 0:
            optimizer.zero_grad()
            nats.mean().backward()
            optimizer.step()
    return torch.cat(found)


@measure(
    "bits_per_character_reading",
    "the same of a model that goes on learning from what it has read of the test text, as xz and a table of counts could: each "
    "character is counted before it is learnt from; the rate of learning is chosen on the validation part",
    better="lower",
    unit="bits",
    headline=38,
    model={"autoregressive", "discrete"},
    data={"text", "examples"},
)
def bits_while_reading(subject: Subject) -> Value:
    data, model, length = subject.data, subject.model, subject.data.length
    few = data.validation_text[: length * VALIDATED // 2].to(subject.device)
    text = data.test_text[: length * subject.settings.evaluation.num_points].to(subject.device)
    with all_digits(subject.device):
        costs = {rate: float(read(model, few, length, rate).mean()) for rate in RATES}
        cost = read(model, text, length, min(costs, key=costs.__getitem__)) / math.log(2)
    runs = cost[: len(cost) // 256 * 256].view(-1, 256).mean(1) if len(cost) >= 512 else cost  # neighbours are not independent
    return Value(float(cost.mean()), error=float(runs.std()) / math.sqrt(len(runs)))
