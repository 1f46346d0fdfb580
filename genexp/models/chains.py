"""`model=chains`: Markov chains whose target is the density of the data.

Nothing is learnt: what they pass through after the burn-in are the samples.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Ability, Learns
from genexp.context import Context
from genexp.data.base import Batch, DataSpec, LogDensity
from genexp.errors import UserError
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.samplers.diagnostics import LEAST, r_hat
from genexp.samplers.kernels import Kernel, State, kernels, of_chains, usable
from genexp.samplers.tally import LOST, Counts, Tally
from genexp.settings import Scale

Number = Annotated[float, Field(ge=-1e6, le=1e6)]
STATE = "state_"  # before the names of the kernel's state among the buffers
MIXED = 1.01  # R̂ that is asked for
ENOUGH = 50  # transitions without an accepted proposal: of a healthy chain, which accepts a quarter, one in a million has so many
MOST_KEPT = 2**30  # numbers: 4 GB


@models.register("chains")
class Chains(GenerativeModel):
    r"""Many Markov chains at once.

    They begin at m + s ε with ε ~ N(0, I): m the mean and s the standard deviation of the data (of a target's probes), or where
    the settings say. A run ends after burn_in + draws·thin transitions, or when the trainer's budget is spent.

    In short:
        Nothing is learnt: Markov chains that leave the density as it is are run until they have forgotten where they began;
        what they pass through then are samples of it, though not independent ones.

    Equation:
        \int p(x) \, T(x' | x) \, dx = p(x'), \qquad p(x) = \tilde{p}(x) / Z
        a(x \to x') = \min\!\left(1, \frac{\tilde{p}(x') \, q(x | x')}{\tilde{p}(x) \, q(x' | x)}\right)

    Args:
        kernel: how they move.
        chains: how many.
        burn_in: transitions that are forgotten, in which the step size is found.
        draws: states of each chain that are kept.
        thin: transitions from one of them to the next.
        start: the place around which all chains begin; null: as the data lie.
        spread: their first standard deviation: in the units of x around `start`, else in that of the data.

    Raises:
        UserError: `start` is of another dimension than the data; too much would be kept; the density is finite at none of the
            first places.
    """

    fitter = "chain"
    learns: Learns = "density"
    position: Tensor
    first: Tensor
    kept: Tensor
    taken: Tensor
    accepted: Tensor
    moved_away: Tensor

    def __init__(
        self,
        spec: DataSpec,
        context: Context,
        *,
        chains: Annotated[int, Field(ge=1, le=65_536)] = 64,
        burn_in: Annotated[int, Field(ge=0, le=10**7)] = 1_000,
        draws: Annotated[int, Field(ge=1, le=10**7)] = 2_000,
        thin: Annotated[int, Field(ge=1, le=10**6)] = 1,
        start: list[Number] | None = None,
        spread: Scale = 1.0,
        kernel: Part[Kernel] = kernels.part("hmc"),
    ) -> None:
        super().__init__()
        spec.check_kind(("real", "unit"), "model=chains")
        dim = math.prod(spec.shape)
        if start is not None and len(start) != dim:
            raise UserError(f"model.start: {len(start)} numbers, and the data are of {dim} dimensions")
        if chains * draws * dim > MOST_KEPT:
            raise UserError(f"{chains} chains of {draws} draws of {dim} numbers are too many to keep", hint="model.thin=10")
        self.shape, self.burn_in, self.thin, self.spread = spec.shape, burn_in, thin, spread
        self.examples, self.transitions = chains, burn_in + draws * thin
        self.start = None if start is None else torch.tensor(start).view(spec.shape)
        self.kernel = kernel(spec, context)
        self.counts = Counts(chains, len(self.kernel.moves))
        origin = torch.zeros(chains, *spec.shape)
        buffers = {
            "position": origin,
            "first": origin.clone(),
            "kept": torch.zeros(draws, chains, *spec.shape),
            "taken": torch.zeros((), dtype=torch.long),  # transitions, the burn-in counted
            "accepted": torch.zeros(chains, dtype=torch.long),
            "moved_away": torch.zeros((), dtype=torch.long),  # chains that could not begin where they should
        }
        for name, values in buffers.items():
            self.register_buffer(name, values)
        with torch.no_grad():  # the kernel's state, of the right shapes
            for name, values in self.kernel.begin(origin, lambda x: -0.5 * x.flatten(1).square().sum(1)).items():
                self.register_buffer(STATE + name, values.clone())

    @property
    def can(self) -> frozenset[Ability]:
        """Of too few draws nothing is said but where the chains are."""
        if self.draws().shape[1] < LEAST:
            return frozenset({"sample"})
        return frozenset({"sample", "chains"} if self.kernel.alone is None else {"sample", "chains", "local_moves"})

    @property
    def complete(self) -> bool:
        """Whether all that is to be kept is."""
        return int(self.taken) >= self.transitions

    # --- running ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        x = batch.x
        middle, width = (x.mean(0), x.std(0, correction=0)) if self.start is None else (self.start.to(x), torch.ones_like(x[0]))
        place = middle + self.spread * width * torch.randn_like(self.position)
        if batch.log_density is not None:
            place = self._where_it_is_finite(place, batch.log_density)
            self._keep_state(self.kernel.begin(place, batch.log_density))
        self.position.copy_(place)
        self.first.copy_(place)

    def _where_it_is_finite(self, x: Tensor, log_density: LogDensity) -> Tensor:
        """Places of which those where no chain can begin are taken from others."""
        good = usable(self.kernel.begin(x, log_density))
        if not bool(good.any()):
            raise UserError(
                f"the density, or its gradient, is finite at none of the {len(x)} places where the chains begin",
                hint="model.start=[…] and model.spread say where that is",
            )
        self.moved_away.fill_(int((~good).sum()))
        others = good.nonzero()[:, 0]
        return torch.where(good.view(-1, *[1] * len(self.shape)), x, x[others[torch.arange(len(x)) % len(others)]])

    @torch.no_grad()
    def transition(self, batch: Batch) -> Terms:
        """One transition of all chains; the mean energy −ln p̃ afterwards, and what became of the proposals."""
        assert batch.log_density is not None
        moved = self.kernel.step(self.position, self._state(), batch.log_density)
        x, state, found, number = moved.x, moved.state, moved.diagnostics, int(self.taken) + 1
        self.accepted += found.accepted
        if number <= self.burn_in:
            state = self.kernel.tune(state, found)
            if number == self.burn_in // 2:
                self.accepted.zero_()
        else:
            self.counts.add(found)
            draw, left = divmod(number - self.burn_in, self.thin)
            if left == 0 and draw <= len(self.kept):
                self.kept[draw - 1] = x
        if number == self.burn_in:
            index = self._beside_others(number - number // 2)
            x, state = x[index], of_chains(self.kernel.settle(state), index)
        self.position.copy_(x)
        self._keep_state(state)
        self.taken += 1
        terms = {"loss": self._energy(), "acceptance": found.acceptance.mean(), "bad": found.bad.float().mean()}
        if (size := self.kernel.step_size(state)) is not None:
            terms["step_size"] = size[0]
        if found.energy_error is not None:
            terms["energy_error"] = found.energy_error.abs().nan_to_num(LOST).clamp(max=LOST).mean()
        return terms

    def _beside_others(self, transitions: int) -> Tensor:
        """At the end of the burn-in: for each chain its own index or, where all of these transitions, its second half, were in
        vain, that of another. Of few that says nothing.
        """
        chains, moving = torch.arange(len(self.accepted), device=self.accepted.device), (self.accepted > 0).nonzero()[:, 0]
        stuck = self.accepted == 0
        self.accepted.zero_()
        if transitions < ENOUGH or not len(moving):
            return chains
        self.moved_away += stuck.sum()
        return torch.where(stuck, moving[chains % len(moving)], chains)

    def _state(self) -> State:
        return {name.removeprefix(STATE): values for name, values in self.named_buffers(recurse=False) if name.startswith(STATE)}

    def _keep_state(self, state: State) -> None:
        for name, values in state.items():
            getattr(self, STATE + name).copy_(values)

    def _energy(self) -> Tensor:
        return -getattr(self, STATE + "log_p").mean()

    def loss(self, batch: Batch) -> Terms:
        """The mean energy −ln p̃ of where the chains are, in nats."""
        return {"loss": self._energy()}

    # --- what comes out --------------------------------------------------------------------------------------

    def draws(self) -> Tensor:
        """What was kept so far, (chains, draws, *shape)."""
        count = max(0, min(len(self.kept), (int(self.taken) - self.burn_in) // self.thin))
        return self.kept[:count].transpose(0, 1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n of the states that were kept, (n, *shape), each as likely as any other; before the first, where the chains are."""
        kept = self.draws().flatten(0, 1)
        kept = kept if len(kept) else self.position
        return kept[torch.randint(len(kept), (n,), device=kept.device)]

    @property
    def tally(self) -> Tally:
        return self.counts.tally(self.kernel.moves, self.accepted)

    def stationary_covariance(self, covariance: Tensor) -> Tensor | None:
        """What the chains have in the end, where the target is a Gaussian of that covariance, (dim, dim); None: nobody knows."""
        return self.kernel.covariance(self._state(), covariance)

    @torch.no_grad()
    def alone(self, steps: int, log_density: LogDensity) -> Tensor:
        """So many transitions of the local moves by themselves, of the same step size and from where these chains began, as often
        as a draw was kept: (chains, steps, *shape).
        """
        local = self.kernel.alone
        assert local is not None
        x, path = self.first, []
        state = self._state() | local.at(x, log_density)
        for _ in range(self.burn_in + steps * self.thin):
            moved = local.step(x, state, log_density)
            x, state = moved.x, moved.state
            path.append(x)
        return torch.stack(path[self.burn_in :][self.thin - 1 :: self.thin], dim=1)

    def remarks(self) -> list[str]:
        found, chains = [], len(self.position)
        if self.moved_away:
            found.append(
                f"{int(self.moved_away)} of {chains} chains could not begin, or leave, where they were, and went on from others"
            )
        tally = self.tally
        if tally.bad:
            share = tally.bad / (tally.transitions * chains)
            found.append(f"{tally.bad:,} proposals, {share:.2%}, were rejected because the density is not finite there")
        never, draws = int((self.accepted == 0).sum()), self.draws()
        if never and tally.transitions:
            found.append(f"{never} of {chains} chains never accepted a proposal after the burn-in")
        if not self.complete:
            found.append(f"{draws.shape[1]:,} draws of each chain were kept, not {len(self.kept):,}: the budget was spent before")
        if not draws.shape[1]:
            found.append(
                f"the burn-in was not over after {int(self.taken):,} of {self.burn_in:,} steps: samples lie where chains are"
            )
        elif draws.shape[1] < LEAST:
            found.append(
                f"{draws.shape[1]} draws of each chain are too few for r_hat and what belongs to it; {LEAST} are the least"
            )
        if draws.shape[1] >= LEAST:
            each = [r_hat(draw) for draw in draws.flatten(2).unbind(2)]
            worst = max(math.inf if math.isnan(value) else value for value in each)
            if worst > MIXED:
                found.append(f"the chains have not mixed: r_hat is {worst:.4g}, and should be at most {MIXED}")
        return [f"warning: {line}" for line in found]
