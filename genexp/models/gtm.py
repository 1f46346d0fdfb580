"""`model=gtm`: the generative topographic mapping, a decoder of a latent plane trained by maximum likelihood itself.

    p(x) = ∫ p(x|z) N(z; 0, I) dz ≈ 1/K Σ_k p(x|z_k),   z_k = Φ⁻¹(u_k),   u_k a lattice in the unit square, K points.

Where a VAE bounds the integral, two dimensions are few enough to do it: p(x_i|z_k) of all pairs is one matrix product. The
lattice is moved as a whole by a random shift at every step, so the sum is unbiased and the decoder cannot hide between points.

Sources: Bishop, Svensén & Williams, GTM: The Generative Topographic Mapping (1998); MacKay, Bayesian neural networks and
density networks (1995); Cranley & Patterson, Randomization of number theoretic methods (1976), for the shift.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.likelihoods import Likelihood, likelihoods
from genexp.models.base import GenerativeModel, Terms
from genexp.nn.mlp import Activation
from genexp.nn.perceptrons import MLPDecoder, Widths
from genexp.registry import Part, models
from genexp.settings import Scale

_NEIGHBOURHOOD = 2  # lattice spacings about the mode


@models.register("gtm")
class GTM(GenerativeModel):
    r"""A latent plane with the prior N(0, I), and its decoder.

    In short:
        A decoder of a plane is learnt by the likelihood itself: two latent dimensions are few enough to sum over all of them,
        where a VAE needs a bound.

    Equation:
        p(x) = \int p_θ(x | z) \, \mathcal{N}(z; 0, I) \, dz \approx \frac{1}{K} \sum_{k=1}^{K} p_θ(x | z_k), \qquad
            z_k = Φ^{-1}(u_k)

    Objective:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}} \ln \frac{1}{K} \sum_{k} p_θ(x | z_k), \qquad
            u_k: \text{ a lattice, shifted at random in each step}

    Args:
        side: lattice points a side in training, K = side².
        inference_side: the same where posteriors are wanted.
        decoder_widths, activation: hidden layers of the decoder.
        frequencies, frequency_scale: of the Fourier features of z that the decoder also sees: their number, 0 is none;
            and the standard deviation of their frequencies in cycles per unit.
        likelihood: p(x|z).

    Raises:
        UserError: a likelihood that cannot be had of all pairs at once; values that it has no probability for.
    """

    latent = 2
    can: frozenset[Ability] = frozenset({"sample", "bound", "latents", "plane", "pairs"})
    objective: Objective = "bound"

    def __init__(
        self,
        spec: DataSpec,
        *,
        side: Annotated[int, Field(ge=2, le=512)] = 28,
        inference_side: Annotated[int, Field(ge=2, le=512)] = 96,
        decoder_widths: Widths = (512, 512, 512),
        activation: Activation = "silu",
        frequencies: Annotated[int, Field(ge=0, le=65_536)] = 64,
        frequency_scale: Scale = 0.8,
        likelihood: Part[Likelihood] = likelihoods.part("bernoulli"),
    ) -> None:
        super().__init__()
        self.side, self.inference_side = side, inference_side
        self.decoder = MLPDecoder(spec.shape, 2, decoder_widths, 0, activation, frequencies, frequency_scale)
        self.likelihood = likelihood(spec)
        if not self.likelihood.has_pairs:
            raise UserError(
                f"model/likelihood={likelihood.name}: a lattice wants p(x|z) of all pairs at once, which this has not",
                hint="model/likelihood=gaussian",
            )

    # --- the objective ---------------------------------------------------------------------------------------

    def initialise(self, batch: Batch) -> None:
        """Let decoding begin at the mean of the data; UserError where its values have no likelihood."""
        self.likelihood.check(batch.x)
        self.decoder.initialise(batch.x, self.likelihood.from_mean)

    def loss(self, batch: Batch) -> Terms:
        """−ln 1/K Σ p(x|z_k) on a lattice shifted at random: on average an upper bound of −ln p(x), and a tight one."""
        return self._objective(batch, self.side, torch.rand(2).clamp(1e-6, 1 - 1e-6))

    def validate(self, batch: Batch) -> Terms:
        """The same on a finer lattice of midpoints: the likelihood itself."""
        return self._objective(batch, self.inference_side, torch.tensor([0.5, 0.5]))

    def _objective(self, batch: Batch, side: int, shift: Tensor) -> Terms:
        pairs = self.log_likelihoods(batch.x, self._lattice(side, shift))
        return {"loss": math.log(side * side) - pairs.logsumexp(1).mean()}

    # --- the model -------------------------------------------------------------------------------------------

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """E[x|z], (n, *shape)."""
        return self.likelihood.mean(self._raw(z))

    def log_likelihoods(self, x: Tensor, z: Tensor) -> Tensor:
        """ln p(x_i|z_j), x (n, *shape), z (m, 2) → (n, m)."""
        return self.likelihood.pairs(x, self._raw(z))

    def encode(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The latent point that stands for each example, (n, 2): the posterior's mean about its highest mode.

        (The mean of all of it would lie between the modes, where there may be something else.)
        """
        z = self._lattice(self.inference_side, torch.tensor([0.5, 0.5], device=x.device))
        log_likelihood = self.log_likelihoods(x, z)
        mode = (log_likelihood - 0.5 * z.square().sum(1)).argmax(1)
        place = torch.cartesian_prod(*[torch.arange(self.inference_side, device=x.device)] * 2)
        near = (place[mode][:, None] - place[None]).abs().amax(-1) <= _NEIGHBOURHOOD
        return log_likelihood.masked_fill(~near, -torch.inf).softmax(1) @ z

    def draw_posterior(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """One z ~ p(z|x) for each example, (n, 2), from a lattice shifted at random."""
        z = self._lattice(self.inference_side, torch.rand(2).clamp(1e-6, 1 - 1e-6))
        return z[self.log_likelihoods(x, z).softmax(1).multinomial(1)[:, 0]]

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Means of p(x|z), of zeros and ones x itself, for z ~ N(0, I), (n, *shape)."""
        return self.likelihood.example(self._raw(torch.randn(n, 2, device=self._device)))

    def _raw(self, z: Tensor) -> Tensor:
        return self.decoder(z, z.new_empty(len(z), 0))

    def _lattice(self, side: int, shift: Tensor) -> Tensor:
        """side² points of the plane, even in the prior's quantiles: Φ⁻¹((i + shift)/side)."""
        u = (torch.arange(side)[:, None] + shift.cpu()) / side
        return torch.cartesian_prod(*torch.special.ndtri(u.double()).T).float().to(self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device
