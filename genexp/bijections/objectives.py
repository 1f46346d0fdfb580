"""What a flow is trained by: the likelihood of examples, or the divergence of its own samples from a density."""

from typing import Protocol

from torch import Tensor

from genexp.capabilities import Learns, Objective
from genexp.data.base import Batch, Terms
from genexp.registry import Registry


class Sampled(Protocol):
    """A flow, as an objective sees it: the likelihood of points, and points that remember their weights."""

    def log_prob(self, x: Tensor) -> Tensor: ...

    def sample_with_log_prob(self, n: int) -> tuple[Tensor, Tensor]: ...


class FlowObjective:
    """Told when built: nothing. `kind` is what its loss is, `learns` what it asks of a batch."""

    kind: Objective
    learns: Learns

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        raise NotImplementedError


objectives = Registry("flow_objective", "genexp.bijections", FlowObjective)


@objectives.register("likelihood")
class Likelihood(FlowObjective):
    """−E_data[ln q(x)], in nats per example: KL(data ‖ flow) up to the data's entropy, which covers every mode."""

    kind: Objective = "nll"
    learns: Learns = "examples"

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        return {"loss": -flow.log_prob(batch.x).mean()}


@objectives.register("reverse_kl")
class ReverseKL(FlowObjective):
    """E_q[ln q(x) − ln p̃(x)] = KL(flow ‖ target) − ln Z, in nats, over samples of the flow itself, as many as the batch has.

    It needs no examples, and may forget a mode that it never visits.
    """

    kind: Objective = "reverse_kl"
    learns: Learns = "density"

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        assert batch.log_density is not None  # else the pair was refused
        x, log_q = flow.sample_with_log_prob(len(batch.x))
        return {"loss": (log_q - batch.log_density(x)).mean()}
