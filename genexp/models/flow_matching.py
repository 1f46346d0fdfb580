"""`model=flow_matching`: learn the velocity that carries noise into data.

    path       x_t = (1−t) x₀ + t y,  x₀ ~ N(0, I),  y ~ data,  t from 0 (noise) to 1 (data)
    velocity   v(x, t) ≈ E[y − x₀ | x_t = x],  by regression on y − x₀
    sampling   dx/dt = v(x, t) from x(0) = x₀

Source: Lipman et al., Flow Matching for Generative Modeling (2023).
"""

import torch
from torch import Tensor

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.samplers.ode import Solver, solvers
from genexp.velocity.base import (
    Affine,
    FieldNetwork,
    Parametrisation,
    Target,
    TrainingTimes,
    fields,
    parametrisations,
    targets,
    training_times,
)
from genexp.velocity.likelihood import EXACT_DIVERGENCE, likelihood_times, log_prob
from genexp.velocity.path import flow_matching_loss, straight_path
from genexp.velocity.spaces import Space, spaces

LIKELIHOOD_STEPS = 48


@models.register("flow_matching")
class FlowMatching(GenerativeModel):
    r"""Flow matching on straight paths, for data that are points, and for pictures by their principal components.

    In short:
        The velocity is learnt with which noise has to move to become data, by plain regression; samples follow it as an ODE,
        and its divergence gives their likelihood.

    Equation:
        x_t = (1 - t) \, x_0 + t \, y, \quad x_0 \sim \mathcal{N}(0, I), \; y \sim \mathrm{data}, \qquad
            v_θ(x, t) \approx \mathbb{E}[y - x_0 | x_t = x]
        \frac{dx}{dt} = v_θ(x, t), \qquad \ln p(x_1) = \ln \mathcal{N}(x_0; 0, I) - \int_0^1 \nabla \cdot v_θ \, dt

    Objective:
        \mathcal{L} = \mathbb{E}_{t, x_0, y} \left\| v_θ(x_t, t) - (y - x_0) \right\|^2 / D \quad
            \text{(held-out; trained in the units of the network)}

    Args:
        field: the network, and what it sees of a point.
        parametrisation: what the network predicts.
        target: what it is taught there.
        times: at which times it is trained.
        solver: of the ODE that samples follow.
        space: the vectors u that noise is carried into. Of data in other units than their own there are samples alone.

    Raises:
        UserError: data that are no points, or no points for that field.
    """

    objective: Objective = "flow_matching"
    data_scale: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        field: Part[FieldNetwork] = fields.part("noise_aware"),
        parametrisation: Part[Parametrisation] = parametrisations.part("denoiser"),
        target: Part[Target] = targets.part("sample"),
        times: Part[TrainingTimes] = training_times.part("log_noise"),
        solver: Part[Solver] = solvers.part("heun"),
        space: Part[Space] = spaces.part("as_is"),
    ) -> None:
        super().__init__()
        self.space = space(spec, "flow_matching")
        self.dim = self.space.dim
        self.parametrisation, self.times, self.solver = parametrisation(), times(), solver()
        scale = torch.tensor(self.parametrisation.data_scale or 1.0)
        self.register_buffer("data_scale", scale if self.space.exact else scale.repeat(self.dim))
        self.field = field(self.dim)
        self.target = target(self.dim)
        self.first_look = max(self.first_look, self.target.first_look)

    @property
    def can(self) -> frozenset[Ability]:
        if not self.space.identity:
            return frozenset({"sample"})
        likelihood: Ability = "exact" if self.dim <= EXACT_DIVERGENCE else "estimate"
        return frozenset({"sample", "velocity", "refined", "closely", likelihood})

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Measure the scale of the data, where it was not given; let the field look at them."""
        self.space.measure(batch.x)
        u = self.space.into(batch.x)
        if self.parametrisation.data_scale is None:
            self.data_scale.copy_(u.std(0).square().mean().sqrt() if self.space.exact else u.std(0).clamp(min=1e-3))
        self.field.initialise(u)
        self.target.initialise(u)

    def loss(self, batch: Batch) -> Terms:
        """Mean squared error per element of the network, in the units of the network's own output."""
        u = self.space.into(batch.x)
        path = straight_path(torch.randn_like(u), u, self.times.draw(len(u), u.device))
        target = self.affine(path.t).output(self.target(path, u), path.x_t)
        return {"loss": (self.field(path.x_t, path.t).float() - target).square().mean()}

    def validate(self, batch: Batch) -> Terms:
        """E|v(x_t, t) − (y − x₀)|² per element with t ~ U(0, 1): the plain flow-matching loss, whatever the settings."""
        return {"loss": flow_matching_loss(self.velocity, self.space.into(batch.x))}

    # --- the velocity ----------------------------------------------------------------------------------------

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """v(x, t), shape (n, dim), for points (n, dim) at times (n,) in [0, 1]."""
        return self.affine(t).velocity(self.field(x, t).float(), x)

    def affine(self, t: Tensor) -> Affine:
        """How the velocity follows from the network, at times (n,)."""
        return self.parametrisation.affine(t, self.data_scale)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, shape (n, *shape)."""
        x_0 = torch.randn(n, self.dim, device=self.device)
        return self.space.back(self.solver.solve(self.velocity, x_0, self.solver.times(self.device))[-1])

    @torch.no_grad()
    def trajectory(self, x0: Tensor, frames: int) -> Tensor:
        """Where the points x0, shape (n, dim), are at `frames` times evenly spread over [0, 1]: (frames, n, dim)."""
        shown = torch.linspace(0, 1, frames, device=x0.device)
        times = torch.cat([self.solver.times(x0.device), shown]).unique()
        return self.solver.solve(self.velocity, x0, times)[torch.searchsorted(times, shown)]

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats."""
        return self.refined_log_prob(x, 1)

    def refined_log_prob(self, x: Tensor, refinement: float) -> Tensor:
        """The same by LIKELIHOOD_STEPS times `refinement` steps; of adaptive ones, with a tolerance divided by `refinement`."""
        times = likelihood_times(self.times.finest, round(refinement * LIKELIHOOD_STEPS), x.device)
        return log_prob(self.velocity, x, times, self.solver, refinement)

    @torch.no_grad()
    def sample_closely(self, n: int, refinement: float) -> Tensor:
        """n points, (n, dim), of the density of `refined_log_prob` itself, which the steps of `sample` only come near to."""
        times = likelihood_times(self.times.finest, round(refinement * LIKELIHOOD_STEPS), self.device)
        x_0 = torch.randn(n, self.dim, device=self.device)
        return self.solver.solve_closely(self.velocity, x_0, times.to(x_0.dtype).unique(), refinement)[-1]
