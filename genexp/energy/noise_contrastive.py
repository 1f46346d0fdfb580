"""`model/objective=noise_contrastive`: to tell the data from noise of a known density is to know the density of the data."""

import math
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genexp.data.base import Terms
from genexp.energy.base import Energy, EnergyObjective, energy_objectives


@energy_objectives.register("noise_contrastive")
class NoiseContrastive(EnergyObjective):
    r"""Logistic regression between data and ν times as many samples of the reference q, with logit −E(u) − ln ν q(u):

        −E_data[ln σ(logit)] − ν E_q[ln σ(−logit)],

    the least at exp(−E) = p_data, so that Z is learnt as well, and is 1. In many dimensions all noise is told from all data at a
    glance, and nothing is learnt any more.

    In short:
        To tell the data from noise of a known density is to know the density of the data, and its normalisation with it.

    Equation:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}}[\ln σ(ℓ)] - ν \, \mathbb{E}_{q}[\ln σ(-ℓ)], \qquad ℓ(u) = -E_θ(u) - \ln ν q(u)

    Args:
        ratio: ν, samples of the reference for each example.

    Source: Gutmann & Hyvärinen, Noise-Contrastive Estimation (2010).
    """

    def __init__(self, *, ratio: Annotated[int, Field(ge=1, le=1_000)] = 4) -> None:
        super().__init__()
        self.ratio = ratio

    def loss(self, energy: Energy, u: Tensor) -> Terms:
        noise = energy.reference(self.ratio * len(u)).to(u)
        of_data, of_noise = (-energy(x) - energy.log_reference(x) - math.log(self.ratio) for x in (u, noise))
        return {"loss": F.softplus(-of_data).mean() + self.ratio * F.softplus(of_noise).mean()}
