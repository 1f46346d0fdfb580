"""What the network predicts."""

import torch
from torch import Tensor

from genexp.settings import Scale
from genexp.velocity.base import Affine, Parametrisation, parametrisations


@parametrisations.register("velocity")
class Plain(Parametrisation):
    """The network is v itself."""

    def affine(self, t: Tensor, data_scale: Tensor) -> Affine:
        t = t[:, None]
        return Affine(skip=torch.zeros_like(t), scale=torch.ones_like(t))


@parametrisations.register("denoiser")
class Denoiser(Parametrisation):
    """The network is the correction to the velocity of N(0, s²I) data, of unit size at every t. With s = data_scale, and
    q² = s²t² + (1−t)² the variance of x_t,

        v = (s²t − (1−t)) / q² · x + s / q · F.

    The same as a denoised point E[y|x_t] with the preconditioning of the source.
    Source: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models (2022).

    Args:
        data_scale: standard deviation of the data's coordinates; null measures it before training.
    """

    def __init__(self, *, data_scale: Scale | None = None) -> None:
        self.data_scale = data_scale

    def affine(self, t: Tensor, data_scale: Tensor) -> Affine:
        t, s = t[:, None], data_scale
        q_squared = (s * t) ** 2 + (1 - t) ** 2
        return Affine(skip=(s**2 * t - (1 - t)) / q_squared, scale=s / q_squared.sqrt())
