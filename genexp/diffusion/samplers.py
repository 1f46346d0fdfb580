"""Samplers: from noise to data along the probability flow (an ODE), or along the reversed diffusion (an SDE).

In the time s of a schedule, with D the denoised point and ε̂ = (m − D)/τ of x = α m,

    ODE   dx = v ds,   v = α̇ D + σ̇ ε̂
    SDE   dx = (v + ½ g² ε̂/σ) ds + g dw,   g² = α² dτ²/ds,   s from 1 to 0.

Both have the same marginals at every s (Song et al. 2021). After the last step the point is denoised.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from genexp.diffusion.base import Denoised, DiffusionSampler, Noise, Schedule, level, samplers
from genexp.diffusion.predictions import noise_of, score_of
from genexp.samplers.solvers import EULER, HEUN, Evaluations, Method


def velocity(denoised: Denoised, x: Tensor, schedule: Schedule, s: Tensor) -> Tensor:
    """v = dx/ds of the probability flow at x = α m, (n, dim), and one time s, ()."""
    alpha, (alpha_rate, sigma_rate) = schedule.alpha(s).to(x), (rate.to(x) for rate in schedule.rates(s))
    m, tau = x / alpha, schedule.tau(s).to(x)
    clean = denoised(m, level(tau, m))
    return alpha_rate * clean + sigma_rate * noise_of(clean, m, tau)


class AlongTheFlow(DiffusionSampler):
    """A Runge–Kutta method for dx/ds = v."""

    ode = True

    def __init__(self, method: Method, evaluations: int) -> None:
        super().__init__(evaluations)
        self.method, self.cost, self.order = method, method.evaluations, method.order

    def step(self, denoised: Denoised, m: Tensor, schedule: Schedule, s: Tensor, after: Tensor, noise: Noise) -> Tensor:
        def slope(time: Tensor, x: Tensor) -> Tensor:
            return velocity(denoised, x, schedule, time)

        return self.method.step(slope, s, after, schedule.alpha(s).to(m) * m) / schedule.alpha(after).to(m)


@samplers.register("euler")
def euler(*, evaluations: Evaluations = 20) -> AlongTheFlow:
    """Euler's method for the ODE, in the schedule's time: of order one.

    Args:
        evaluations: of the network, at most.
    """
    return AlongTheFlow(EULER, evaluations)


@samplers.register("heun")
def heun(*, evaluations: Evaluations = 20) -> AlongTheFlow:
    """Heun's method for the ODE, in the schedule's time: of order two.

    Args:
        evaluations: of the network, at most; each step takes two.

    Source: Karras et al. (2022).
    """
    return AlongTheFlow(HEUN, evaluations)


@samplers.register("ddim")
class DDIM(DiffusionSampler):
    """m′ = D + τ′ ε̂: Euler's method for the ODE dm/dτ = ε̂, which knows no schedule but its levels; exact where D is constant.

    Args:
        evaluations: of the network, at most.

    Source: Song et al., Denoising diffusion implicit models (2021).
    """

    ode = True

    def __init__(self, *, evaluations: Evaluations = 20) -> None:
        super().__init__(evaluations)

    def step(self, denoised: Denoised, m: Tensor, schedule: Schedule, s: Tensor, after: Tensor, noise: Noise) -> Tensor:
        tau, next_tau = schedule.tau(s).to(m), schedule.tau(after).to(m)
        clean = denoised(m, level(tau, m))
        return clean + next_tau * noise_of(clean, m, tau)


@samplers.register("ancestral")
class Ancestral(DiffusionSampler):
    """m′ ~ q(m′ | m, u = D), the posterior of the step if D were the data:

        m′ = D + (τ′/τ)² (m − D) + τ′ √(1 − (τ′/τ)²) ε,

    the sampler of DDPM, with the smaller of its two variances.

    Args:
        evaluations: of the network, at most.

    Source: Ho et al. (2020), equations 6 and 7.
    """

    ode = False

    def __init__(self, *, evaluations: Evaluations = 20) -> None:
        super().__init__(evaluations)

    def step(self, denoised: Denoised, m: Tensor, schedule: Schedule, s: Tensor, after: Tensor, noise: Noise) -> Tensor:
        tau, next_tau = schedule.tau(s).to(m), schedule.tau(after).to(m)
        clean = denoised(m, level(tau, m))
        ratio = (next_tau / tau) ** 2
        return clean + ratio * (m - clean) + next_tau * (1 - ratio).sqrt() * noise(m)


@samplers.register("euler_maruyama")
class EulerMaruyama(DiffusionSampler):
    """Euler's method for the SDE: of weak order one, and of strong order one, as g does not depend on x.

    Args:
        evaluations: of the network, at most.

    Source: Kloeden & Platen, Numerical solution of stochastic differential equations (1992), 10.2.
    """

    ode = False

    def __init__(self, *, evaluations: Evaluations = 20) -> None:
        super().__init__(evaluations)

    def step(self, denoised: Denoised, m: Tensor, schedule: Schedule, s: Tensor, after: Tensor, noise: Noise) -> Tensor:
        h = (s - after).to(m)
        alpha, sigma, (alpha_rate, sigma_rate) = schedule.alpha(s), schedule.sigma(s), schedule.rates(s)
        g_squared = (2 * sigma * (sigma_rate - alpha_rate * sigma / alpha)).to(m)
        tau = schedule.tau(s).to(m)
        clean = denoised(m, level(tau, m))
        noise_there = noise_of(clean, m, tau)
        v = alpha_rate.to(m) * clean + sigma_rate.to(m) * noise_there
        drift = v + 0.5 * g_squared * noise_there / sigma.to(m)
        x = alpha.to(m) * m - h * drift + (g_squared * h).sqrt() * noise(m)
        return x / schedule.alpha(after).to(m)


@samplers.register("predictor_corrector")
class PredictorCorrector(DiffusionSampler):
    """An ancestral step, and at the level that it comes to one step of Langevin's algorithm, δ = 2 (r τ)²:

        m ← m + δ ∇ ln p_τ(m) + √(2δ) ε,

    which moves points without changing their distribution, but for the error of the step.

    Args:
        evaluations: of the network, at most; each step takes two.
        ratio: r, the signal-to-noise ratio of the source, for a score of its mean size 1/τ.

    Source: Song et al., Score-based generative modeling through stochastic differential equations (2021), algorithm 4.
    """

    ode = False
    cost = 2

    def __init__(self, *, evaluations: Evaluations = 20, ratio: Annotated[float, Field(ge=0, le=1)] = 0.16) -> None:
        super().__init__(evaluations)
        self.predictor, self.ratio = Ancestral(), ratio

    def step(self, denoised: Denoised, m: Tensor, schedule: Schedule, s: Tensor, after: Tensor, noise: Noise) -> Tensor:
        m = self.predictor.step(denoised, m, schedule, s, after, noise)
        tau = schedule.tau(after).to(m)
        delta = 2 * (self.ratio * tau) ** 2
        score = score_of(denoised(m, level(tau, m)), m, tau)
        return m + delta * score + (2 * delta).sqrt() * noise(m)
