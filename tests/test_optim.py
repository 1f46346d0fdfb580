"""Adam is torch's, and its state goes both ways; the one-cycle schedule is torch's."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genexp.optim.adam import Adam
from genexp.optim.schedule import one_cycle

STEPS = 5


def descend(weights: Sequence[Tensor], optimizer: Adam | torch.optim.Optimizer, first: int = 0) -> None:
    """Steps along gradients that differ from step to step; the last weights have one only at times."""
    for step in range(first, first + STEPS):
        optimizer.zero_grad()
        loss = (step + 1) * (weights[0] - 1).square().sum() + (weights[1] * weights[0][0]).sum()
        (loss + (weights[2].sum() if step % 2 else 0)).backward()
        optimizer.step()


def beginning() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3,), (2, 2), (4,))]


@pytest.mark.parametrize(("kind", "decoupled"), [(torch.optim.Adam, False), (torch.optim.AdamW, True)])
def test_adam_is_torchs_and_goes_on_from_its_state(kind: Any, decoupled: bool) -> None:
    keys: dict[str, Any] = {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.3}
    ours, theirs = beginning(), beginning()
    own = Adam([*ours], **keys, decoupled=decoupled)
    other = kind(theirs, **keys, fused=True)
    descend([*ours], own)
    descend([*theirs], other)
    crossed = Adam([*theirs], lr=1.0, betas=(0.0, 0.0), decoupled=not decoupled)
    crossed.load_state_dict(other.state_dict())
    back = kind(ours, lr=1.0, fused=True)
    (group,) = own.state_dict()["param_groups"]
    back.load_state_dict({"state": own.state_dict()["state"], "param_groups": [back.param_groups[0] | group]})
    descend([*ours], back, STEPS)
    descend([*theirs], crossed, STEPS)
    for one, another in zip(ours, theirs, strict=True):
        assert torch.equal(one, another)
    with pytest.raises(ValueError, match="other weights"):
        crossed.load_state_dict({"state": {}, "param_groups": []})


def test_one_cycle_has_torchs_rates() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.3)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=400)
    own = Adam([torch.zeros(1)], lr=0.3)
    for step, rate in enumerate(one_cycle(400)):
        own.follow(rate)
        assert own.group["lr"] == pytest.approx(optimizer.param_groups[0]["lr"], abs=0.003)
        assert own.group["betas"] == pytest.approx(optimizer.param_groups[0]["betas"], abs=0.003)
        optimizer.step()
        if step < 399:
            reference.step()
