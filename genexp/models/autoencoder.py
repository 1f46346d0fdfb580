"""`model=autoencoder`: encoder and decoder with a point in between, and no probability of it.

    loss = −E[ln p(x | z = e(x̃))],   x̃ = x, or x with noise (denoising).

Where a VAE spreads each example over a cloud that has to fit the prior, nothing here says where codes lie, and what is decoded
between them was never trained. So sampling needs a distribution of codes that is fitted afterwards, or takes N(0, I) and fails.

Sources: Hinton & Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks (2006); Vincent et al., Extracting and
Composing Robust Features with Denoising Autoencoders (2008); Ghosh et al., From Variational to Deterministic Autoencoders (2020).
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.latent.base import Posterior
from genexp.latent.likelihoods import Likelihood, likelihoods
from genexp.latent.networks import Networks, Sizes, networks
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.settings import Fraction, Weight

PART = 2_048  # examples that are encoded at a time
LEAST = 1e-6  # variance of the codes, where they have none


class Code(Posterior):
    """A point: the features through a linear map, (n, latent)."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, latent)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(features).float()


@models.register("autoencoder")
class Autoencoder(GenerativeModel):
    r"""z = e(x), x decoded from z.

    In short:
        A code for each example, and the way back from it, are learnt, so that few numbers keep most of what many say; there
        is no probability of the code, and so no likelihood.

    Equation:
        z = e_φ(x), \qquad x \sim p_θ(x | z)

    Objective:
        \mathcal{L} = -\mathbb{E}[\ln p_θ(x | z = e_φ(\tilde{x}))], \qquad \tilde{x} = x \text{ or } x \text{ with noise}

    Args:
        latent: dimensions of z.
        noise: standard deviation of Gaussian noise that is added to what the encoder sees in training.
        input_dropout: share of the values of x that are hidden from it in training.
        codes: where new z are drawn: `fitted`, the Gaussian with the mean and covariance of the training codes; or `standard`,
            N(0, I), as if it were a VAE.
        network: encoder and decoder.
        likelihood: p(x|z), whose −ln is the error of a reconstruction.

    Raises:
        UserError: values that the likelihood has no probability for.
    """

    code_mean: Tensor
    code_factor: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent: Annotated[int, Field(ge=1, le=4096)] = 2,
        noise: Weight = 0.0,
        input_dropout: Fraction = 0.0,
        codes: Literal["fitted", "standard"] = "fitted",
        network: Part[Networks] = networks.part("mlp"),
        likelihood: Part[Likelihood] = likelihoods.part("bernoulli"),
    ) -> None:
        super().__init__()
        self.latent, self.noise, self.codes = latent, noise, codes
        self.dropout = nn.Dropout(input_dropout)
        self.likelihood = likelihood(spec)
        self.networks = network(Sizes(spec.shape, latent, 0, self.likelihood.logits))
        self.encoder, self.decoder = self.networks.encoder, self.networks.decoder
        self.code = Code(self.encoder.features, latent)
        self.register_buffer("code_mean", torch.zeros(latent))
        self.register_buffer("code_factor", torch.eye(latent))

    @property
    def can(self) -> frozenset[Ability]:
        return frozenset({"sample", "latents", "prior", *(("plane",) if self.latent == 2 else ())})

    # --- training --------------------------------------------------------------------------------------------

    def initialise(self, batch: Batch) -> None:
        """Begin at the mean example; UserError where the values have no likelihood."""
        self.likelihood.check(batch.x)
        self.networks.initialise(batch.x, self.likelihood.from_mean, self.code)

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x|e(x̃))] in nats per example; without noise in evaluation."""
        seen = self.dropout(batch.x)
        if self.training and self.noise:
            seen = seen + self.noise * torch.randn_like(seen)
        return {"loss": -self.likelihood.log_prob(batch.x, self._raw(self.encode(seen))).mean()}

    @property
    def concludes(self) -> bool:
        return self.codes == "fitted"

    @torch.no_grad()
    def conclude(self, batch: Batch) -> None:
        """The mean and the covariance of the training codes, for sampling."""
        if self.codes == "fitted":
            z = torch.cat([self.encode(few.x) for few in batch.split(PART)]).double()
            covariance = torch.cov(z.T, correction=0).view(self.latent, self.latent)
            covariance += LEAST * torch.eye(self.latent, dtype=z.dtype, device=z.device)
            self.code_mean.copy_(z.mean(0))
            self.code_factor.copy_(torch.linalg.cholesky(covariance))

    # --- the model -------------------------------------------------------------------------------------------

    def encode(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The code of each example, (n, latent)."""
        return self.code(self.encoder(x, x.new_empty(len(x), 0)))

    def draw_posterior(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The same: there is no other z."""
        return self.encode(x)

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """E[x|z], (n, *shape)."""
        return self.likelihood.mean(self._raw(z))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Means of p(x|z), of zeros and ones x itself, for new codes z; (n, *shape)."""
        return self.likelihood.example(self._raw(self.sample_latent(n)))

    @torch.no_grad()
    def sample_latent(self, n: int, label: Tensor | None = None) -> Tensor:
        """n new codes, (n, latent)."""
        noise = torch.randn(n, self.latent, device=self.code_mean.device, dtype=self.code_mean.dtype)
        return self.code_mean + noise @ self.code_factor.T

    def _raw(self, z: Tensor) -> Tensor:
        return self.decoder(z, z.new_empty(len(z), 0))
