"""`model/kernel=independence`: independence Metropolis–Hastings, whose proposals a model of another run makes.

Sources: Tierney (1994); Albergo et al., Flow-based generative models for Markov chain Monte Carlo in lattice field theory (2019).
"""

from collections.abc import Callable
from typing import Any, Self

from torch import Tensor

from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.samplers.kernels import Diagnostics, Kernel, LogDensity, State, Transition, kernels, metropolis, usable
from genexp.samplers.proposals import proposal_of

Propose = Callable[[int], tuple[Tensor, Tensor]]  # n → x ~ q (n, *shape) and ln q(x) (n,)


def independence(x: Tensor, state: State, log_density: LogDensity, propose: Propose) -> Transition:
    """One transition of each chain: y ~ q, wherever x is, is accepted with probability min(1, p̃(y) q(x) / p̃(x) q(y)).

    `state`: "log_p", ln p̃(x), and "log_q", ln q(x).
    """
    y, log_q = propose(len(x))
    found = {"log_p": log_density(y), "log_q": log_q}
    log_ratio = found["log_p"] - found["log_q"] - state["log_p"] + state["log_q"]
    decision = metropolis(log_ratio, usable(found) & log_q.isfinite())
    diagnostics = Diagnostics(decision.acceptance, decision.accepted, decision.bad, densities=1)
    return Transition(decision.choose(y, x), decision.choose_state(found, state), diagnostics)


@kernels.register("independence")
class Independence(Kernel):
    """Proposals that a model with an exact likelihood makes, wherever the chains are.

    Args:
        run: whose model that is: the folder of a finished run.

    Raises:
        UserError: there is no such run, its likelihood is not exact, or it is of data of another shape.
    """

    def __init__(self, spec: DataSpec, context: Context, *, run: str | None = None) -> None:
        super().__init__()
        self.proposal = proposal_of(spec, context, run, "sample", "exact")

    def at(self, x: Tensor, log_density: LogDensity) -> State:
        return {"log_p": log_density(x), "log_q": self.proposal.log_prob(x)}

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        return independence(x, state, log_density, lambda n: proposed(self.proposal, n))

    def train(self, mode: bool = True) -> Self:
        """The proposal has been trained."""
        super().train(mode)
        self.proposal.eval()
        return self


def proposed(model: Any, n: int) -> tuple[Tensor, Tensor]:
    """n samples and their ln q; of layers both at once."""
    if "layers" in model.can:
        return model.sample_with_log_prob(n)  # type: ignore[no-any-return]
    x = model.sample(n)
    return x, model.log_prob(x)
