"""What the network predicts: the noise, the data, a mixture v of both, the score, or a correction of unit size.

All say the same, the denoised point D = E[u|m] of m = u + τ ε, and follow from each other:

    noise     ε̂ = (m − D) / τ
    data      D
    v         (ε̂ − τ D) / √(1+τ²),  that is α ε̂ − σ D where α² + σ² = 1
    score     ∇ ln p_τ(m) = (D − m) / τ²;  the network gives τ times that
    edm       (D − c_skip m) / c_out,  c_skip = s²/(s²+τ²),  c_out = s τ/√(s²+τ²),  s the standard deviation of the data

They differ in what a network's error does: one of the noise is magnified where there is much noise, one of the data where there
is little. v is edm with s = 1, but for its sign.

Sources: Ho et al. (2020); Salimans & Ho, Progressive distillation for fast sampling of diffusion models (2022); Song & Ermon
(2019); Karras et al. (2022).
"""

from torch import Tensor

from genexp.diffusion.base import Prediction, predictions


def noise_of(denoised: Tensor, m: Tensor, tau: Tensor) -> Tensor:
    """ε̂ = (m − D)/τ; all (n, dim), but τ (n, 1)."""
    return (m - denoised) / tau


def score_of(denoised: Tensor, m: Tensor, tau: Tensor) -> Tensor:
    """∇ ln p_τ(m) = (D − m)/τ² (Tweedie's formula)."""
    return (denoised - m) / tau**2


@predictions.register("noise")
class OfNoise(Prediction):
    """F = ε̂."""

    def denoised(self, output: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return m - tau * output

    def output(self, denoised: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return noise_of(denoised, m, tau)


@predictions.register("data")
class OfData(Prediction):
    """F = D."""

    regular = False

    def denoised(self, output: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return output

    def output(self, denoised: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return denoised


@predictions.register("v")
class OfV(Prediction):
    """F = (ε̂ − τ D)/√(1+τ²)."""

    def denoised(self, output: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return m / (1 + tau**2) - tau / (1 + tau**2).sqrt() * output

    def output(self, denoised: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return (noise_of(denoised, m, tau) - tau * denoised) / (1 + tau**2).sqrt()


@predictions.register("score")
class OfScore(Prediction):
    """F = τ ∇ ln p_τ(m)."""

    def denoised(self, output: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return m + tau * output

    def output(self, denoised: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        return tau * score_of(denoised, m, tau)


@predictions.register("edm")
class OfUnitSize(Prediction):
    """F = (D − c_skip m)/c_out, of unit variance at every noise level; F = 0 is exact for N(0, diag s²)."""

    def denoised(self, output: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        skip, size = self._coefficients(tau, scale)
        return skip * m + size * output

    def output(self, denoised: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        skip, size = self._coefficients(tau, scale)
        return (denoised - skip * m) / size

    def _coefficients(self, tau: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        q_squared = scale**2 + tau**2
        return scale**2 / q_squared, scale * tau / q_squared.sqrt()
