"""`model/objective=fab`: flow annealed importance sampling bootstrap.

Source: Midgley et al., Flow Annealed Importance Sampling Bootstrap (2023), algorithm 1.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.objectives import FlowObjective, Sampled, density_of, objectives, renyi
from genexp.capabilities import Learns, Objective
from genexp.data.base import Batch, LogDensity, Terms
from genexp.errors import UserError
from genexp.machine.distributed import world
from genexp.samplers.annealing import anneal, tuned
from genexp.samplers.step_size import StepSize

Count = Annotated[int, Field(ge=1, le=1_000)]
ALPHA = 2.0
MOST = 10.0  # times: what a point may count for whose density has risen since it was kept


@objectives.register("fab")
class FAB(FlowObjective):
    r"""D_2(target ‖ flow), over points that annealed importance sampling has found and a buffer keeps.

    ∇ D_2 = −E_{x ~ p²/q}[∇ ln q(x)]. Samples of the flow are led from q to p̃²/q, where the flow is poor, and go with their
    weights into a buffer, the oldest out of it. Each step draws points from there by their weights; of each the weight is then
    brought to what it is under the flow as it is now, w ← w q_old/q. So no sample is thrown away after one step, and modes that
    once were found are not forgotten.

    The loss is the cross-entropy of p²/q, which has no known least value; the held-out one is D_2 over samples of the flow,
    −ln of the effective sample size, with 0 as the least.

    In short:
        Annealed importance sampling goes and finds points where the flow is poor, and the flow learns from these.

    Equation:
        \mathcal{L} = D_2(p \| q_θ), \qquad \nabla_θ D_2 = -\mathbb{E}_{x \sim p^2 / q_θ}[\nabla_θ \ln q_θ(x)]

    Args:
        temperatures: J, of the annealing; a chain at each but the last.
        leaps: leapfrog steps of each chain's one transition of Hamiltonian Monte Carlo.
        step_size: of these to begin with; each chain's is tuned to accept 0.65.
        every: so many steps are taken from the buffer before the flow is asked for another batch of new points.
        capacity: points in the buffer.
        least: batches of new points before the first step.

    Raises:
        UserError: several processes; the density is NaN somewhere.
    """

    kind: Objective = "alpha"
    learns: Learns = "density"
    betas: Tensor
    x: Tensor
    log_weight: Tensor
    log_q: Tensor
    counts: Tensor
    step_sizes: Tensor
    accepted: Tensor

    def __init__(
        self,
        *,
        temperatures: Annotated[int, Field(ge=1, le=256)] = 4,
        leaps: Annotated[int, Field(ge=1, le=100)] = 4,
        step_size: StepSize = 0.2,
        every: Count = 4,
        capacity: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000,
        least: Count = 4,
    ) -> None:
        super().__init__()
        self.leaps, self.every, self.capacity, self.least = leaps, every, capacity, least
        self.register_buffer("betas", torch.linspace(0, 1, temperatures + 1), persistent=False)
        self.register_buffer("step_sizes", torch.full((temperatures - 1,), float(step_size)))
        self.register_buffer("accepted", torch.zeros(temperatures - 1))
        self.register_buffer("counts", torch.zeros(2, dtype=torch.long))  # steps taken, points that were ever put in

    def prepare(self, dim: int) -> None:
        self.register_buffer("x", torch.zeros(self.capacity, dim))
        self.register_buffer("log_weight", torch.full((self.capacity,), -torch.inf))
        self.register_buffer("log_q", torch.zeros(self.capacity))

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        if world().size > 1:
            raise UserError("model/objective=fab: its buffer of points is of one process", hint="run it without torchrun")
        size, log_density = len(batch.x), density_of(batch)
        with torch.no_grad():
            first = int(self.counts[0]) == 0
            for _ in range(self.least if first else int(int(self.counts[0]) % self.every == 0)):
                self.explore(flow, log_density, size)
            drawn = torch.multinomial(self.log_weight.softmax(0), size, replacement=True)
        log_q = flow.log_prob(self.x[drawn])
        with torch.no_grad():
            change = self.log_q[drawn] - log_q
            self.log_weight[drawn] += change
            self.log_q[drawn] = log_q.detach()
            self.counts[0] += 1
        terms = {"loss": -(change.exp().clamp(max=MOST) * log_q).mean()}
        return terms if not len(self.accepted) else {**terms, "accepted": self.accepted.mean()}

    def validate(self, flow: Sampled, batch: Batch) -> Terms:
        x, log_q = flow.sample_with_log_prob(len(batch.x))
        return {"loss": renyi(density_of(batch)(x) - log_q, ALPHA)}

    @torch.no_grad()
    def explore(self, flow: Sampled, log_density: LogDensity, size: int) -> None:
        """Put `size` new points into the buffer, in place of the oldest."""
        found = anneal(flow.sample(size), flow.log_prob, log_density, self.betas, self.step_sizes, self.leaps, ALPHA)
        good = found.log_weight.isfinite() & found.log_q.isfinite()
        if not bool(good.any()):
            raise UserError(
                "the log density is -inf at every sample of the flow", hint="a wider flow: model.normalise, or a base"
            )
        index = good.nonzero()[-self.capacity :, 0]
        count = len(index)
        places = (int(self.counts[1]) + torch.arange(count, device=found.x.device)) % self.capacity
        for kept, new in ((self.x, found.x), (self.log_weight, found.log_weight), (self.log_q, found.log_q)):
            kept[places] = new[index].to(kept)
        self.counts[1] += count
        if len(self.accepted):
            self.accepted.copy_(found.acceptance)
            self.step_sizes.copy_(tuned(self.step_sizes, found.acceptance))
