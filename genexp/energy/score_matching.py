"""`model/objective=denoising | sliced`: the score s = ∇ ln p = −∇E is fitted, of which Z is no part.

Both minimise ½ E|s(u) − ∇ ln p_data(u)|² without knowing p_data. The price: where the density is low between two modes nothing is
learnt, and so nothing of how much mass each of them has.
"""

import torch
from torch import Tensor

from genexp.data.base import Terms
from genexp.energy.base import Energy, EnergyObjective, energy_objectives, score
from genexp.settings import Scale


@energy_objectives.register("denoising")
class DenoisingScoreMatching(EnergyObjective):
    r"""½ E|σ s(u + σε) + ε|², ε ~ N(0, I): the least at the score of the data under noise, p_data * N(0, σ² I), not of the data.

    In short:
        The slope of the noisy data's density is fitted, of which Z is no part: where the noise points is where the data are
        not.

    Equation:
        \mathcal{L} = \frac{1}{2} \mathbb{E} \left| σ \, s_θ(u + σ ε) + ε \right|^2, \qquad s_θ = -\nabla E_θ, \quad
            ε \sim \mathcal{N}(0, I)

    Args:
        noise: σ, in standard deviations of the data.

    Source: Vincent, A Connection Between Score Matching and Denoising Autoencoders (2011).
    """

    def __init__(self, *, noise: Scale = 0.1) -> None:
        super().__init__()
        self.noise = noise

    def loss(self, energy: Energy, u: Tensor) -> Terms:
        noise = torch.randn_like(u)
        error = self.noise * score(energy, u + self.noise * noise) + noise
        return {"loss": 0.5 * error.flatten(1).square().sum(1).mean()}


@energy_objectives.register("sliced")
class SlicedScoreMatching(EnergyObjective):
    r"""E[vᵀ (∇s) v + ½|s|²], v ~ N(0, I): the trace of the Hessian in one random direction of each example.

    Its least value is −½ E|∇ ln p_data|². Narrow data have steep scores and make it noisy.

    Source: Song et al., Sliced Score Matching (2019), the variant of reduced variance.

    In short:
        The slope of the data's density is fitted without knowing it, of which Z is no part.

    Equation:
        \mathcal{L} = \mathbb{E} \left[ v^T (\nabla s_θ) v + \frac{1}{2} |s_θ|^2 \right], \qquad s_θ = -\nabla E_θ, \quad
            v \sim \mathcal{N}(0, I)
    """

    def loss(self, energy: Energy, u: Tensor) -> Terms:
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            slope, direction = score(energy, u), torch.randn_like(u)
            (curved,) = torch.autograd.grad((slope * direction).sum(), u, create_graph=True)
        return {"loss": ((curved * direction).flatten(1).sum(1) + 0.5 * slope.flatten(1).square().sum(1)).mean()}
