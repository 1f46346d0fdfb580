"""What a flow is trained by: the likelihood of examples, or a divergence of the flow from a density, over its own samples.

`x ~ q` is a sample of the flow, p̃ = Z p the density, w = p̃(x)/q(x) a weight.
"""

from typing import Annotated, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from genexp.capabilities import Learns, Objective
from genexp.data.base import Batch, LogDensity, Terms
from genexp.registry import Registry


class Sampled(Protocol):
    """A flow, as an objective sees it: the likelihood of points, and points that remember their weights."""

    def log_prob(self, x: Tensor) -> Tensor: ...

    def sample(self, n: int) -> Tensor: ...

    def sample_with_log_prob(self, n: int) -> tuple[Tensor, Tensor]: ...

    def named_parameters(self) -> object: ...


class FlowObjective(nn.Module):
    """Told when built: nothing. `kind` is what its loss is, `learns` what it asks of a batch. What it remembers are buffers."""

    kind: Objective
    learns: Learns

    def prepare(self, dim: int) -> None:
        """Make its buffers, for points of that dimension. Most have none."""

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        raise NotImplementedError

    def validate(self, flow: Sampled, batch: Batch) -> Terms:
        """The objective without what only training needs."""
        return self.loss(flow, batch)


objectives = Registry("flow_objective", "genexp.bijections", FlowObjective)


def density_of(batch: Batch) -> LogDensity:
    """ln p̃ of the batch; a model that learns a density is refused data without one."""
    assert batch.log_density is not None
    return batch.log_density


@objectives.register("likelihood")
class Likelihood(FlowObjective):
    r"""−E_data[ln q(x)], in nats per example: KL(data ‖ flow) up to the data's entropy, which covers every mode.

    It is the forward KL, wherever the data are samples of a known density.

    In short:
        Maximum likelihood: the flow has to give mass wherever there are data, and so covers every mode.

    Equation:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}}[\ln q_θ(x)] = \mathrm{KL}(\mathrm{data} \| q_θ) + H(\mathrm{data})
    """

    kind: Objective = "nll"
    learns: Learns = "examples"

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        return {"loss": -flow.log_prob(batch.x).mean()}


@objectives.register("reverse_kl")
class ReverseKL(FlowObjective):
    r"""E_q[ln q(x) − ln p̃(x)] = KL(flow ‖ target) − ln Z, in nats, over samples of the flow itself, as many as the batch has.

    It needs no examples, and may forget a mode that it never visits.

    In short:
        The flow's own samples are pulled to where the density is high: no examples are needed, and a mode that is never
        visited may be forgotten.

    Equation:
        \mathcal{L} = \mathbb{E}_{q_θ}[\ln q_θ(x) - \ln \tilde{p}(x)] = \mathrm{KL}(q_θ \| p) - \ln Z

    Args:
        path_gradient: whether the weights are moved only by way of the samples, x = g_θ(z) in ln q_θ′(x) − ln p̃(x), and θ′ = θ
            counts as constant. What is left out, E_q[∇_θ ln q_θ(x)], is zero; without it the gradient has no noise where
            q = p. It costs a second pass through the flow.

    Sources: Roeder et al., Sticking the Landing (2017); Vaitl et al., Gradients should stay on Path (2022).
    """

    kind: Objective = "reverse_kl"
    learns: Learns = "density"

    def __init__(self, *, path_gradient: bool = False) -> None:
        super().__init__()
        self.path_gradient = path_gradient

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        x, log_q = flow.sample_with_log_prob(len(batch.x))
        if self.path_gradient and torch.is_grad_enabled():
            log_q = constant_log_prob(flow, x)
        return {"loss": (log_q - density_of(batch)(x)).mean()}


@objectives.register("alpha")
class Alpha(FlowObjective):
    r"""Rényi's divergence D_α(target ‖ flow) = 1/(α−1) ln E_q[(p/q)^α], in nats, over samples of the flow itself.

    p = p̃/Z with Z = E_q[w] over the same samples, so that 0 is the least whatever Z is; of α = 2 it is −ln of the effective
    sample size. Its gradient −Σ_i s_i ∇ ln q(x_i), with shares s_i ∝ w_i^α, raises q where the target has more: it covers the
    modes that samples find, and the less of them it knows the noisier it is.

    In short:
        Samples where the density has more than the flow count for more, so that the modes which are found are covered too.

    Equation:
        \mathcal{L} = D_α(p \| q_θ) = \frac{1}{α - 1} \ln \mathbb{E}_{q_θ}\!\left[ \left( \frac{p(x)}{q_θ(x)} \right)^{α}
            \right]

    Args:
        alpha: α; 1 is the forward KL.

    Source: Midgley et al., Flow Annealed Importance Sampling Bootstrap (2023), section 2.
    """

    kind: Objective = "alpha"
    learns: Learns = "density"

    def __init__(self, *, alpha: Annotated[float, Field(ge=1, le=4)] = 2.0) -> None:
        super().__init__()
        self.alpha = alpha

    def loss(self, flow: Sampled, batch: Batch) -> Terms:
        x = flow.sample(len(batch.x))
        log_q = flow.log_prob(x)
        log_weight = (density_of(batch)(x) - log_q).detach()
        towards = -((self.alpha * log_weight).softmax(0) * log_q).sum()
        return {"loss": towards + (renyi(log_weight, self.alpha) - towards).detach()}


def renyi(log_weight: Tensor, alpha: float) -> Tensor:
    """D_α(p ‖ q) in nats from ln w (n,) of samples of q, with weights whose mean is one."""
    log_ratio = log_weight - (log_weight.logsumexp(0) - log_weight.new_tensor(float(len(log_weight))).log())
    if alpha == 1:
        return (log_ratio.exp() * log_ratio).nan_to_num(nan=0.0).mean()  # 0 ln 0 = 0
    return (alpha * log_ratio).exp().mean().log() / (alpha - 1)


def constant_log_prob(flow: Sampled, x: Tensor) -> Tensor:
    """ln q(x), (n,), as a function of x alone: the flow's weights count as constant."""
    constant = {f"flow.{name}": weights.detach() for name, weights in flow.named_parameters()}  # type: ignore[attr-defined]
    return functional_call(_LogProb(flow), constant, (x,))  # type: ignore[no-any-return]


class _LogProb(nn.Module):
    """A flow whose call is its `log_prob`."""

    def __init__(self, flow: Sampled) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor) -> Tensor:
        return self.flow.log_prob(x)
