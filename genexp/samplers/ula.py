"""`model/kernel=ula`: the unadjusted Langevin algorithm.

    x′ = x + h ∇ ln p̃(x) + √(2h) ξ,   ξ ~ N(0, I):

an Euler step of the diffusion that has p for its stationary distribution. Nothing is rejected, so that the chains' own
stationary distribution is another one: of N(0, 1) its variance is 1/(1 − h/2), and from h = 2 on there is none.

Source: Roberts & Tweedie, Exponential convergence of Langevin distributions and their discrete approximations (1996).
"""

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.samplers.kernels import (
    Diagnostics,
    LocalKernel,
    LogDensity,
    State,
    Transition,
    kernels,
    local_kernels,
    per_chain,
    usable,
    with_gradient,
)
from genexp.samplers.step_size import StepSize


def langevin(x: Tensor, gradient: Tensor, step_size: float | Tensor) -> Tensor:
    """x + h ∇ ln p̃(x) + √(2h) ξ."""
    return x + step_size * gradient + (2 * step_size) ** 0.5 * torch.randn_like(x)


@kernels.register("ula")
@local_kernels.register("ula")
class ULA(LocalKernel):
    """Langevin steps, none of them rejected, but where ln p̃ is not finite.

    Args:
        step_size: h, in units of the squared lengths of x; it stays what it is.
    """

    exact = False

    def __init__(self, *, step_size: StepSize = 0.1) -> None:
        super().__init__()
        self.h = step_size

    def at(self, x: Tensor, log_density: LogDensity) -> State:
        return with_gradient(log_density, x)

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        y = langevin(x, state["gradient"], self.h)
        found = with_gradient(log_density, y)
        good = usable(found)
        taken = {name: torch.where(per_chain(good, values), values, state[name]) for name, values in found.items()}
        diagnostics = Diagnostics(good.to(x), good, ~good, gradients=1)
        return Transition(torch.where(per_chain(good, x), y, x), state | taken, diagnostics)

    def step_size(self, state: State) -> Tensor:
        return state["log_p"].new_tensor([self.h])

    def covariance(self, state: State, covariance: Tensor) -> Tensor:
        """S of S = (I − hΣ⁻¹) S (I − hΣ⁻¹) + 2hI, which is Σ (I − hΣ⁻¹/2)⁻¹.

        Raises:
            UserError: h is not below twice the least variance, and there is none.
        """
        variances, directions = torch.linalg.eigh(covariance)
        if self.h >= 2 * float(variances.min()):
            raise UserError(f"with model.kernel.step_size={self.h:g} the chains have no stationary distribution")
        return directions * (variances / (1 - self.h / (2 * variances))) @ directions.mT
