"""`model/kernel=neutra`: chains in the base space of a flow, where the target is nearly the base.

With the flow's x = f(z), the chains move z under ln p̃(f(z)) + ln |det ∂f/∂z|. Where the flow has learnt the target this is the
base's own density, round and of one width, whatever the target looks like.

Source: Hoffman et al., NeuTra-lizing Bad Geometry in Hamiltonian Monte Carlo Using Neural Transport (2019).
"""

from typing import Self

from torch import Tensor

from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.registry import Part
from genexp.samplers.kernels import Diagnostics, Kernel, LocalKernel, LogDensity, State, Transition, kernels, local_kernels
from genexp.samplers.proposals import proposal_of

BASE = "base_"  # before the names of the state in the base space


@kernels.register("neutra")
class NeuTra(Kernel):
    """A local kernel in the base space of a flow.

    Args:
        run: whose flow that is: the folder of a finished run.
        local: the kernel there; its step size is in the units of the base.

    Raises:
        UserError: there is no such run, its model is no flow, or it is of data of another shape.
    """

    def __init__(
        self,
        spec: DataSpec,
        context: Context,
        *,
        run: str | None = None,
        local: Part[LocalKernel] = local_kernels.part("hmc"),
    ) -> None:
        super().__init__()
        self.flow, self.local = proposal_of(spec, context, run, "layers", "exact"), local()

    def begin(self, x: Tensor, log_density: LogDensity) -> State:
        z, _ = self.flow.transform(x)
        inner = self.local.begin(z, self.pulled_back(log_density))
        return {"z": z, "log_p": log_density(x), **named(inner)}

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        moved = self.local.step(state["z"], unnamed(state), self.pulled_back(log_density))
        x, log_det = self.flow.inverse(moved.x)
        log_p = moved.state["log_p"] - log_det
        return Transition(x, {"z": moved.x, "log_p": log_p, **named(moved.state)}, moved.diagnostics)

    def pulled_back(self, log_density: LogDensity) -> LogDensity:
        """z → ln p̃(f(z)) + ln |det ∂f/∂z|."""

        def log_base(z: Tensor) -> Tensor:
            x, log_det = self.flow.inverse(z)
            return log_density(x) + log_det

        return log_base

    def tune(self, state: State, diagnostics: Diagnostics) -> State:
        return state | named(self.local.tune(unnamed(state), diagnostics))

    def settle(self, state: State) -> State:
        return state | named(self.local.settle(unnamed(state)))

    def step_size(self, state: State) -> Tensor | None:
        return self.local.step_size(unnamed(state))

    def covariance(self, state: State, covariance: Tensor) -> Tensor | None:
        return covariance if self.local.exact else None

    def train(self, mode: bool = True) -> Self:
        """The flow has been trained."""
        super().train(mode)
        self.flow.eval()
        return self


def named(inner: State) -> State:
    return {BASE + name: values for name, values in inner.items()}


def unnamed(state: State) -> State:
    return {name.removeprefix(BASE): values for name, values in state.items() if name.startswith(BASE)}
