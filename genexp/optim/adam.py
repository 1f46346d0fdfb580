"""Adam and AdamW: torch's own arithmetic, and a state that a checkpoint keeps in torch's layout."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from genexp.optim.schedule import Rate

HYPERPARAMETERS = ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay")


class Adam:
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², θ ← θ − η m̂ / (√v̂ + ε), with m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ).

    Weight decay λ adds λθ to the gradient g, or, `decoupled` as in AdamW, subtracts ηλθ from the weights.

    `torch.optim.Adam` does the same; but it imports torch.compile's tracer, which takes two seconds, whether anything is to be
    compiled or not. Its arithmetic is a function, which is called here.

    Source: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980; Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        decoupled: bool = False,
        eps: float = 1e-8,
    ) -> None:
        self.weights = [*weights]
        self.lr, self.betas = lr, betas
        self.group: dict[str, Any] = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled,
        }
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def follow(self, rate: Rate) -> None:
        """The learning rate, and where the schedule moves it β₁, from now on."""
        self.group["lr"] = self.lr * rate.factor
        self.group["betas"] = (rate.beta1 or self.betas[0], self.betas[1])

    def zero_grad(self) -> None:
        for weights in self.weights:
            weights.grad = None

    def step(self) -> None:
        """One update by the gradients in `.grad`; weights without one stay as they are."""
        reached = [weights for weights in self.weights if weights.grad is not None]
        self.update(reached, [weights.grad for weights in reached], fused=True)  # type: ignore[misc]

    @torch.no_grad()
    def update(self, weights: list[Tensor], gradients: list[Tensor], **how: Any) -> None:
        """One update of `weights`; `how` chooses among torch's kernels, and may give `lr` and `beta1` as tensors."""
        states = [self.moments(one) for one in weights]
        known = {"lr": self.group["lr"], "beta1": self.group["betas"][0]} | how
        adam(
            weights,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            maximize=False,
            beta2=self.group["betas"][1],
            eps=self.group["eps"],
            weight_decay=self.group["weight_decay"],
            decoupled_weight_decay=self.group["decoupled_weight_decay"],
            **known,
        )

    def moments(self, weights: Tensor) -> dict[str, Tensor]:
        """Number of updates, m and v of these weights, zero at first."""
        if weights not in self.state:
            zero = torch.zeros((), device=weights.device)
            self.state[weights] = {"step": zero, "exp_avg": torch.zeros_like(weights), "exp_avg_sq": torch.zeros_like(weights)}
        return self.state[weights]

    def state_dict(self) -> dict[str, Any]:
        """As torch.optim.Adam has it: moments by the number of the weights, and one group of hyperparameters."""
        numbers = range(len(self.weights))
        state = {number: self.state[one] for number, one in zip(numbers, self.weights, strict=True) if one in self.state}
        return {"state": state, "param_groups": [self.group | {"params": [*numbers]}]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state`, of this class or of torch.optim.Adam, stopped. ValueError if it is of other weights."""
        groups = state["param_groups"]
        if len(groups) != 1 or len(groups[0]["params"]) != len(self.weights):
            raise ValueError("the optimizer's state is of other weights")
        self.group.update({name: groups[0][name] for name in HYPERPARAMETERS if name in groups[0]})
        self.state = {}
        for number, moments in state["state"].items():
            own = self.moments(self.weights[number])
            for name, value in own.items():
                value.copy_(moments[name])
