"""`model=flow_matching`: learn the velocity that carries noise into data.

    path       x_t = (1−t) x₀ + t y,  x₀ ~ N(0, I),  y ~ data,  t from 0 (noise) to 1 (data)
    velocity   v(x, t) ≈ E[y − x₀ | x_t = x],  by regression on y − x₀
    sampling   dx/dt = v(x, t) from x(0) = x₀

Source: Lipman et al., Flow Matching for Generative Modeling (2023).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torchdiffeq import odeint

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.base import GenerativeModel, Terms
from genexp.nn.divergence import divergence
from genexp.nn.feature_grids import NoiseAwareFeatureGrids
from genexp.nn.fields import NoiseAwareField, PlainField, RandomFourierField
from genexp.nn.fourier import NoiseAwareFourierFeatures, Spread, random_frequencies
from genexp.nn.mlp import Activation
from genexp.registry import models
from genexp.settings import Scale, Width

EVALUATIONS_PER_STEP = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4, "dopri5": 6}
EXACT_DIVERGENCE = 4  # dimensions up to which the divergence costs one backward pass each
LIKELIHOOD_STEPS = 64
EVEN_SHARE = 0.25  # of these steps, even in t; the others are even in ln τ, where a field of fine detail changes

NoiseLevel = Annotated[float, Field(ge=1e-5, le=1e5)]


@dataclass(frozen=True)
class PathSample:
    """Points x_t, shape (n, dim), of straight paths at times t, shape (n,), and their velocities y − x₀."""

    x_t: Tensor
    t: Tensor
    velocity: Tensor


def straight_path(x_0: Tensor, y: Tensor, t: Tensor) -> PathSample:
    """x_t = (1−t) x₀ + t y and dx_t/dt = y − x₀."""
    time = t[:, None]
    return PathSample(x_t=(1 - time) * x_0 + time * y, t=t, velocity=y - x_0)


def flow_matching_loss(velocity: Callable[[Tensor, Tensor], Tensor], y: Tensor) -> Tensor:
    """E|v(x_t, t) − (y − x₀)|² per element over t ~ U(0, 1) and x₀ ~ N(0, I), for data y (n, dim) and any field v."""
    path = straight_path(torch.randn_like(y), y, stratified(len(y), y.device).clamp(1e-5, 1 - 1e-5))
    return (velocity(path.x_t, path.t) - path.velocity).square().mean()


@models.register("flow_matching")
class FlowMatching(GenerativeModel):
    """Flow matching on straight paths, for data that are points.

    Args:
        features: what the network sees of a point. `none`: (x, t) itself. `random`: Fourier features of x, and time through
            a small network of its own. `noise_aware`: Fourier features of x/t, damped as the noise at time t damps them.
            `feature_grid`: learnt values on grids in the plane, read at x/t and damped likewise; fastest where detail is local.
        num_frequencies, frequency_scale, frequency_spread: how many random waves; and their frequencies in cycles per unit
            length: `normal` with that standard deviation, or `even` from 0 to there.
        damping: of `noise_aware` and `feature_grid`; 1 damps as the noise does, less keeps fine detail a little longer.
        feature_levels, feature_side, feature_channels: of `feature_grid`: how many grids, the cells a side of the finest, and
            the values at each node.
        width, depth, activation, layer_norm: of the hidden layers; the last two features have FiLM by time, and no LayerNorm.
        time_width: of the network that embeds time; for the last two features, the number of hat functions of ln τ.
        parametrisation: `velocity`: the network is v. `denoiser`: the network is the correction, of unit size at every t,
            to the field of N(0, data_scale²) data; the same as a denoised point E[y|x_t] with the preconditioning of
            Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models (2022).
        data_scale: standard deviation of the data's coordinates, used by `denoiser`; null measures it before training.
        time_sampling, uniform_share, noise_range: of t in training. `uniform`; or `log_noise`: τ = (1−t)/t log-uniform in
            `noise_range` for all but `uniform_share` of the batch, so that every scale of detail gets the same attention.
        solver, evaluations: of the sampling ODE; fixed steps with that many evaluations of v, or adaptive `dopri5`.
        time_grid, grid_power, grid_range: the solver's times. `uniform`; `power`: t = 1 − (1−u)^grid_power; `log_noise`:
            τ equidistant in its logarithm within `grid_range`, and from its end one Euler step to t = 1, which is the
            denoised point itself.
    """

    data_scale: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        features: Literal["none", "random", "noise_aware", "feature_grid"] = "noise_aware",
        num_frequencies: Width = 256,
        frequency_scale: Scale = 16.0,
        frequency_spread: Spread = "even",
        damping: Annotated[float, Field(ge=0, le=100)] = 0.5,
        feature_levels: Annotated[int, Field(ge=1, le=16)] = 8,
        feature_side: Annotated[int, Field(ge=4, le=2048)] = 384,
        feature_channels: Annotated[int, Field(ge=1, le=64)] = 4,
        width: Width = 256,
        depth: Annotated[int, Field(ge=1, le=32)] = 3,
        activation: Activation = "relu",
        layer_norm: bool = False,
        time_width: Annotated[int, Field(ge=2, le=4096)] = 16,
        parametrisation: Literal["velocity", "denoiser"] = "denoiser",
        data_scale: Scale | None = None,
        time_sampling: Literal["uniform", "log_noise"] = "log_noise",
        uniform_share: Annotated[float, Field(ge=0, le=1)] = 0.1,
        noise_range: tuple[NoiseLevel, NoiseLevel] = (3e-3, 1.0),
        solver: Literal["euler", "midpoint", "heun", "rk4", "dopri5"] = "heun",
        evaluations: Annotated[int, Field(ge=1, le=1000)] = 40,
        time_grid: Literal["uniform", "power", "log_noise"] = "log_noise",
        grid_power: Annotated[float, Field(ge=1, le=100)] = 2.0,
        grid_range: tuple[NoiseLevel, NoiseLevel] = (5e-3, 8.0),
    ) -> None:
        super().__init__()
        for name, (low, high) in (("noise_range", noise_range), ("grid_range", grid_range)):
            if low >= high:
                raise UserError(f"model.{name}=[{low:g}, {high:g}]: the first must be less than the second")
        self.dim = spec.points("flow_matching")
        if features == "feature_grid" and self.dim != 2:
            raise UserError("model.features=feature_grid is for points of the plane", hint="model.features=noise_aware")
        self.parametrisation, self.measures_scale = parametrisation, data_scale is None
        self.register_buffer("data_scale", torch.tensor(data_scale or 1.0))
        self.time_sampling, self.uniform_share, self.noise_range = time_sampling, uniform_share, noise_range
        self.solver, self.evaluations = solver, evaluations
        self.time_grid, self.grid_power, self.grid_range = time_grid, grid_power, grid_range
        waves = random_frequencies(self.dim, num_frequencies, frequency_scale, frequency_spread)
        hidden = [width] * depth

        def modulated(seen: NoiseAwareFourierFeatures | NoiseAwareFeatureGrids) -> NoiseAwareField:
            return NoiseAwareField(seen, self.dim, hidden, activation, time_width)

        self.field: nn.Module = {
            "none": lambda: PlainField(self.dim, hidden, activation, layer_norm),
            "random": lambda: RandomFourierField(waves, hidden, activation, layer_norm, time_width),
            "noise_aware": lambda: modulated(NoiseAwareFourierFeatures(waves, damping)),
            "feature_grid": lambda: modulated(NoiseAwareFeatureGrids(feature_levels, feature_side, feature_channels, damping)),
        }[features]()

    @property
    def can(self) -> frozenset[Ability]:
        likelihood: Ability = "exact" if self.dim <= EXACT_DIVERGENCE else "estimate"
        return frozenset({"sample", "velocity", "refined", likelihood})

    @property
    def objective(self) -> Objective:
        return "flow_matching"

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Measure the scale of the data, where it was not given, and the square that feature grids are to cover."""
        if self.measures_scale:
            self.data_scale.copy_(batch.x.std(0).square().mean().sqrt())
        features = getattr(self.field, "features", None)
        if isinstance(features, NoiseAwareFeatureGrids):
            features.cover(batch.x)

    def loss(self, batch: Batch) -> Terms:
        """Mean squared error per element of the network, in the units of the network's own output."""
        path = straight_path(torch.randn_like(batch.x), batch.x, self.sample_times(len(batch.x), batch.x.device))
        skip, scale = self._precondition(path.t)
        target = (path.velocity - skip * path.x_t) / scale
        return {"loss": (self.field(path.x_t, path.t).float() - target).square().mean()}

    def validate(self, batch: Batch) -> Terms:
        """E|v(x_t, t) − (y − x₀)|² per element with t ~ U(0, 1): the plain flow-matching loss, whatever the settings."""
        return {"loss": flow_matching_loss(self.velocity, batch.x)}

    def sample_times(self, n: int, device: torch.device) -> Tensor:
        """n training times in (0, 1), stratified."""
        u = stratified(n, device)
        if self.time_sampling == "uniform":
            return u.clamp(1e-5, 1 - 1e-5)
        even = round(self.uniform_share * n)
        low, high = map(math.log, self.noise_range)
        tau = torch.exp(low + (high - low) * stratified(n - even, device))
        return torch.cat([stratified(even, device).clamp(1e-5, 1 - 1e-5), 1 / (1 + tau)])

    # --- the field -------------------------------------------------------------------------------------------

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """v(x, t), shape (n, dim), for points (n, dim) at times (n,) in [0, 1]."""
        skip, scale = self._precondition(t)
        return skip * x + scale * self.field(x, t).float()

    def _precondition(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(a, b) of v = a x + b F. For `denoiser`, with s = data_scale and q² = s²t² + (1−t)² the variance of x_t,

        a = (s²t − (1−t)) / q²,  b = s / q:  a x is the exact field of N(0, s²I) data, and what is left has variance b².
        """
        t = t[:, None]
        if self.parametrisation == "velocity":
            return torch.zeros_like(t), torch.ones_like(t)
        s = self.data_scale
        q_squared = (s * t) ** 2 + (1 - t) ** 2
        return (s**2 * t - (1 - t)) / q_squared, s / q_squared.sqrt()

    # --- sampling --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n points, shape (n, dim)."""
        device = next(self.parameters()).device
        return self._solve(torch.randn(n, self.dim, device=device), self.times(device))[-1]

    @torch.no_grad()
    def trajectory(self, x0: Tensor, frames: int) -> Tensor:
        """Where the points x0, shape (n, dim), are at `frames` times evenly spread over [0, 1]: (frames, n, dim)."""
        shown = torch.linspace(0, 1, frames, device=x0.device)
        grid = torch.cat([self.times(x0.device), shown]).unique()
        return self._solve(x0, grid)[torch.searchsorted(grid, shown)]

    def times(self, device: torch.device) -> Tensor:
        """The solver's times, from 0 to 1."""
        steps = max(1, -(-self.evaluations // EVALUATIONS_PER_STEP[self.solver]))
        u = torch.linspace(0, 1, steps + 1, device=device, dtype=torch.float64)
        if self.time_grid == "power":
            return (1 - (1 - u) ** self.grid_power).float()
        if self.time_grid == "uniform" or steps == 1:
            return u.float()
        low, high = self.grid_range
        tau = high * (low / high) ** torch.linspace(0, 1, steps - 1, device=device, dtype=torch.float64)
        return torch.cat([u[:1], 1 / (1 + tau), u[-1:]]).float()

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats."""
        return self.refined_log_prob(x, 1)

    def refined_log_prob(self, x: Tensor, refinement: int) -> Tensor:
        """ln p(x), shape (n,), in nats, of the continuous flow: the ODE is followed from x at t = 1 back to the noise x₀.

            ln p(x) = ln N(x₀; 0, I) − ∫₀¹ div v(x_t, t) dt

        with the exact divergence in up to four dimensions and Hutchinson's estimate εᵀ(∂v/∂x)ε beyond (one Rademacher ε per
        point for the whole path). Source: Grathwohl et al., FFJORD (2019).

        LIKELIHOOD_STEPS times `refinement` steps of rk4; of `dopri5`, tolerances divided by `refinement`.
        """
        probe = None if self.dim <= EXACT_DIVERGENCE else torch.randint_like(x, 2) * 2 - 1

        def motion(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                position = state[0].detach().requires_grad_(True)
                velocity = self.velocity(position, t.expand(len(position)))
                return velocity.detach(), divergence(velocity, position, probe)

        times = self.likelihood_times(x.device, refinement * LIKELIHOOD_STEPS).to(x.dtype).unique().flip(0)
        with torch.no_grad():
            start = (x, torch.zeros_like(x[:, 0]))
            if self.solver == "dopri5":
                path, gained = odeint(
                    motion, start, times[[0, -1]], method="dopri5", rtol=1e-5 / refinement, atol=1e-6 / refinement
                )
            else:
                path, gained = odeint(motion, start, times, method="rk4")
        x_0 = path[-1]
        log_base = -0.5 * x_0.square().sum(1) - 0.5 * self.dim * math.log(2 * math.pi)
        return log_base + gained[-1]

    def likelihood_times(self, device: torch.device, steps: int = LIKELIHOOD_STEPS) -> Tensor:
        """About `steps` times from 1 back to 0, even in t or in ln τ, down to where the field was trained no further."""
        low, high = self.noise_range[0] / 2, 10.0
        even = torch.linspace(0, 1, round(EVEN_SHARE * steps), device=device, dtype=torch.float64)
        tau = torch.logspace(math.log10(low), math.log10(high), steps - len(even), device=device, dtype=torch.float64)
        return torch.cat([even, 1 / (1 + tau)]).unique().flip(0)

    def _solve(self, x0: Tensor, times: Tensor) -> Tensor:
        """The solution of dx/dt = v(x, t) at `times`, shape (times, n, dim)."""

        def velocity(t: Tensor, x: Tensor) -> Tensor:
            return self.velocity(x, t.expand(len(x)))

        if self.solver == "dopri5":
            return odeint(velocity, x0, times, method="dopri5", rtol=1e-4, atol=1e-5)
        method = {"heun": "heun2"}.get(self.solver, self.solver)
        if self.time_grid != "log_noise" or len(times) < 3:
            return odeint(velocity, x0, times, method=method)
        path = odeint(velocity, x0, times[:-1], method=method)
        return torch.cat([path, odeint(velocity, path[-1], times[-2:], method="euler")[1:]])


def stratified(n: int, device: torch.device) -> Tensor:
    """n numbers uniform on (0, 1), one in each of n equal intervals: the same mean with far less variance."""
    return (torch.arange(n, device=device) + torch.rand(n, device=device)) / max(n, 1)
