"""`model=diffusion`: learn to see through noise, and draw by removing it little by little.

    noise      m = u + τ ε,  ε ~ N(0, I),  u ~ data in units of their standard deviation
    network    says D(m, τ) ≈ E[u | m], by regression on u; what it says of it is its prediction
    sampling   from noise along an ODE, or along an SDE with the same marginals
    bound      −ln p(u) ≤ ∫ E|ε − ε̂|² dln τ and what the ends cost

The networks are those of flow matching, of which this is another way of writing: its point is x = t m at t = 1/(1+τ), and its
velocity D − ε̂.

Sources: Ho et al., Denoising diffusion probabilistic models (2020); Karras et al., Elucidating the design space of
diffusion-based generative models (2022).
"""

import math

import torch
from torch import Tensor

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.diffusion.base import (
    DiffusionSampler,
    Guidance,
    Prediction,
    Schedule,
    Walk,
    guidances,
    predictions,
    samplers,
    schedules,
)
from genexp.diffusion.bound import negative_bound
from genexp.diffusion.flow import flow_of, log_prob
from genexp.diffusion.predictions import noise_of
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.samplers.solvers import RK4, fixed_steps
from genexp.velocity import likelihood
from genexp.velocity.base import FieldNetwork, TrainingTimes, fields, training_times
from genexp.velocity.path import flow_matching_loss
from genexp.velocity.spaces import Space, spaces

LIKELIHOOD_STEPS = 64
FINEST, COARSEST = 1e-4, 1e4  # noise levels at which the velocity is asked for at most


@models.register("diffusion")
class Diffusion(GenerativeModel):
    r"""Denoising diffusion, for data that are points, and for pictures by their principal components.

    In short:
        To see through Gaussian noise of every level is learnt, which is the same as the slope of the noisy data's density;
        samples come of noise that is removed little by little.

    Equation:
        m = u + τ ε, \quad ε \sim \mathcal{N}(0, I), \qquad D_θ(m, τ) \approx \mathbb{E}[u | m] = m + τ^2 \, \nabla \ln p_τ(m)
        \frac{dm}{dτ} = \frac{m - D_θ(m, τ)}{τ} \quad \text{(the ODE that samples can follow)}

    Objective:
        \mathcal{L} = \mathbb{E}_{u, ε, τ} \left\| F_θ(m, τ) - F(u, m, τ) \right\|^2 / D, \qquad
            F: \text{ what the network predicts}

    Args:
        field: the network, and what it sees of a point.
        prediction: what the network predicts.
        schedule: the noise levels of the samplers.
        times: at which noise levels it is trained.
        sampler: how samples are drawn.
        space: what noise is added to.
        guidance: what is made of classes.

    Raises:
        UserError: data that are no points, and a space of points; no classes where they are needed.
    """

    objective: Objective = "flow_matching"
    scale: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        field: Part[FieldNetwork] = fields.part("noise_aware"),
        prediction: Part[Prediction] = predictions.part("edm"),
        schedule: Part[Schedule] = schedules.part("straight"),
        times: Part[TrainingTimes] = training_times.part("log_normal"),
        sampler: Part[DiffusionSampler] = samplers.part("heun"),
        space: Part[Space] = spaces.part("standard"),
        guidance: Part[Guidance] = guidances.part("none"),
    ) -> None:
        super().__init__()
        self.space = space(spec, "diffusion")
        self.dim, self.classes = self.space.dim, len(spec.classes)
        self.prediction, self.schedule, self.times, self.sampler = prediction(), schedule(), times(), sampler()
        self.guidance = guidance(self.dim, self.classes)
        self.field = field(self.dim, self.guidance.condition)
        self.register_buffer("scale", torch.ones(self.dim))

    @property
    def can(self) -> frozenset[Ability]:
        found: set[Ability] = {"sample", "diffusion"}
        if self.guidance.guides:
            found.add("classes")
        elif self.space.exact:
            found.add("velocity")
            if self.sampler.ode and self.prediction.regular:
                found |= {"refined", "exact" if self.dim <= likelihood.EXACT_DIVERGENCE else "estimate"}
        return frozenset(found)

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Measure the units of the data, and what is left of their scales in these; let the field look at them."""
        self.space.measure(batch.x)
        u = self.space.into(batch.x)
        self.scale.copy_(u.std(0).clamp(min=1e-3) if not self.space.exact else u.std(0).square().mean().sqrt())
        self.field.initialise(u)

    def loss(self, batch: Batch) -> Terms:
        """Mean squared error per element of the network, in the units of its own output; and what guidance has to learn."""
        u = self.space.into(batch.x)
        t = self.times.draw(len(u), u.device)
        tau = ((1 - t) / t).clamp(max=COARSEST)
        m = u + tau[:, None] * torch.randn_like(u)
        target = self.prediction.output(u, m, tau[:, None], self.scale)
        found = self.network(m, tau, self.guidance.told(batch.label))
        error = (found - target).square().mean()
        classes = self.guidance.loss(m, tau, batch.label)
        return {"loss": error} if classes is None else {"loss": error + classes, "denoising": error, "classifier": classes}

    def validate(self, batch: Batch) -> Terms:
        """E|D − ε̂ − (u − ε)|² per element along straight paths: the plain flow-matching loss, whatever the settings."""
        if self.space.exact and not self.guidance.guides:
            return {"loss": flow_matching_loss(self.velocity, batch.x)}
        return {"loss": flow_matching_loss(self._straight_velocity, self.space.into(batch.x))}

    # --- what the network says -------------------------------------------------------------------------------

    def network(self, m: Tensor, tau: Tensor, condition: Tensor | None = None) -> Tensor:
        """F, (n, dim), at points m, (n, dim), and levels τ, (n,)."""
        t = 1 / (1 + tau)
        return self.field(m * t[:, None], t, condition).to(m.dtype)

    def denoised(self, m: Tensor, tau: Tensor, label: Tensor | None = None, weight: float | None = None) -> Tensor:
        """D(m, τ), (n, dim), in the units of u; with a `label`, (n,), guided by `weight`, or by that of the settings."""

        def plain(m: Tensor, tau: Tensor, condition: Tensor | None) -> Tensor:
            return self.prediction.denoised(self.network(m, tau, condition), m, tau[:, None], self.scale)

        return self.guidance.guided(plain, m, tau, label, weight)

    # --- samples ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, n: int, label: Tensor | None = None) -> Tensor:
        """n examples, (n, *shape); of a guided model of these classes, (n,), or of all in turn."""
        if label is None and self.guidance.guides:
            label = torch.arange(n, device=self.device) % self.classes
        return self.space.back(self.walk(torch.randn(n, self.dim, device=self.device), label).m[-1])

    @torch.no_grad()
    def walk(
        self,
        noise: Tensor,
        label: Tensor | None = None,
        sampler: DiffusionSampler | None = None,
        evaluations: int | None = None,
        weight: float | None = None,
    ) -> Walk:
        """From noise, (n, dim) ~ N(0, I), in the units of u; by the sampler of the settings, where no other is given."""
        sampler = sampler or self.sampler
        steps = sampler.steps(evaluations or sampler.evaluations)
        start = self.schedule.start * noise
        return sampler.walk(lambda m, tau: self.denoised(m, tau, label, weight), start, self.schedule, steps)

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """v(x, t) of x = (1−t) ε + t y, (n, dim), in the units of the data y; of an exact space."""
        mean, scale = self.space.units
        t = t.clamp(1 / (1 + COARSEST * scale), 1 / (1 + FINEST * scale))[:, None]
        behind, tau = x / t, (1 - t) / t
        clean = mean + scale * self.denoised((behind - mean) / scale, (tau / scale)[:, 0])
        return clean - (behind - clean) / tau

    def _straight_velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """The same in the units of u, (n, dim)."""
        t = t.clamp(1 / (1 + COARSEST), 1 / (1 + FINEST))[:, None]
        m, tau = x / t, (1 - t) / t
        clean = self.denoised(m, tau[:, 0])
        return clean - noise_of(clean, m, tau)

    @torch.no_grad()
    def trajectory(self, x0: Tensor, frames: int) -> Tensor:
        """Where points x0, (n, dim), of noise are at `frames` times t evenly spread over [0, 1]: (frames, n, dim).

        A point x of x = t·data + (1 − t)·noise is t·mean + √(t²s² + (1 − t)²) times that of the flow, whose size does not change;
        beyond the schedule's largest noise level that is where it began.
        """
        mean, scale = self.space.units
        t = torch.linspace(0, 1, frames, dtype=torch.float64)
        low, high = self.schedule.ends
        shown = -((1 - t) / t.clamp(min=1e-12) / float(scale)).clamp(low, high).log()
        times = torch.cat([shown, torch.linspace(-math.log(high), -math.log(low), 40, dtype=torch.float64)]).unique()
        path = fixed_steps(flow_of(self.denoised), x0, times.to(x0), RK4)[torch.searchsorted(times, shown)]
        t = t.to(x0)[:, None, None]
        return t * mean + (t**2 * scale**2 + (1 - t) ** 2).sqrt() * path

    # --- likelihoods -----------------------------------------------------------------------------------------

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), (n,), in nats: of the flow's points at the least noise level of the schedule."""
        return self.refined_log_prob(x, 1)

    def refined_log_prob(self, x: Tensor, refinement: float) -> Tensor:
        """The same by LIKELIHOOD_STEPS times `refinement` steps."""
        found = log_prob(self.denoised, self.space.into(x), self.schedule.ends, LIKELIHOOD_STEPS, refinement)
        return found - self.dim * self.space.units[1].log()

    def negative_bound(self, x: Tensor, draws: int, label: Tensor | None = None) -> Tensor:
        """The bound of −ln p(x), (n,), in nats, of the SDE's samples, by so many noise levels for each; of an exact space."""
        found = negative_bound(lambda m, tau: self.denoised(m, tau, label), self.space.into(x), self.schedule.ends, draws)
        return found + self.dim * self.space.units[1].log()
