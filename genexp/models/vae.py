"""`model=vae`: the variational autoencoder, with parts to choose.

    ln p(x) ≥ ELBO = E_q(z|x)[ln p(x|z)] − KL(q(z|x) ‖ p(z)),      x decoded from z, z ~ p(z).

Sources: Kingma & Welling, Auto-Encoding Variational Bayes (2014); Burda et al., Importance Weighted Autoencoders (2016);
Higgins et al., β-VAE (2017); Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow (2016).
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.likelihoods import Likelihood, LikelihoodName, make_likelihood
from genexp.latent.posteriors import GaussianPosterior
from genexp.latent.priors import StandardNormal
from genexp.models.base import GenerativeModel, Importance, Terms
from genexp.nn.mlp import Activation
from genexp.nn.perceptrons import MLPDecoder, MLPEncoder, Widths
from genexp.registry import models
from genexp.settings import Fraction


@models.register("vae")
class VAE(GenerativeModel):
    """A VAE for examples of any shape.

    Args:
        latent: dimensions of z.
        encoder_widths, decoder_widths, activation: hidden layers of the networks.
        frequencies, frequency_scale: of the waves of z that the decoder also sees, in cycles per unit: number, and standard
            deviation; 0 is none.
        input_dropout: share of the values of x that are hidden from the encoder in training: it is the encoder that overfits,
            and this keeps it from knowing the training pictures by heart.
        likelihood: `bernoulli` on grey values in [0, 1]; `gaussian`.
        sigma, learn_sigma: of `gaussian`: the standard deviation of a pixel, and whether it is learnt from there.
        beta: weight of the KL term; 1 is the ELBO.
        kl_warmup: steps over which that weight rises from 0.
        free_bits: nats of KL in each latent dimension that cost nothing in training.
        importance_samples: k; 1 trains the ELBO, more the tighter bound ln 1/k Σ p(x, z_i)/q(z_i|x) of IWAE.
        informed_start: whether the encoder begins as a function of departures from the mean picture, decoding begins at that
            picture, and posteriors begin narrow.
        conditional: whether encoder, decoder and with them every density are given the class as well.

    Raises:
        UserError: `conditional` on data without classes.
    """

    trained_steps: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent: Annotated[int, Field(ge=1, le=4096)] = 2,
        encoder_widths: Widths = (512, 512),
        decoder_widths: Widths = (512, 512),
        activation: Activation = "silu",
        frequencies: NonNegativeInt = 0,
        frequency_scale: PositiveFloat = 1.0,
        input_dropout: Fraction = 0.0,
        likelihood: LikelihoodName = "bernoulli",
        sigma: PositiveFloat = 0.1,
        learn_sigma: bool = True,
        beta: NonNegativeFloat = 1.0,
        kl_warmup: NonNegativeInt = 0,
        free_bits: NonNegativeFloat = 0.0,
        importance_samples: PositiveInt = 1,
        informed_start: bool = True,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.latent, self.shape = latent, spec.shape
        self.beta, self.kl_warmup, self.free_bits, self.k = beta, kl_warmup, free_bits, importance_samples
        self.informed_start = informed_start
        if conditional and not spec.classes:
            raise UserError("model.conditional=true: the data has no classes")
        self.classes = len(spec.classes) if conditional else 0
        self.encoder = MLPEncoder(spec.shape, encoder_widths, self.classes, activation)
        self.decoder = MLPDecoder(spec.shape, latent, decoder_widths, self.classes, activation, frequencies, frequency_scale)
        self.dropout = nn.Dropout(input_dropout)
        self.posterior = GaussianPosterior(self.encoder.features, latent)
        self.prior = StandardNormal(latent)
        self.likelihood: Likelihood = make_likelihood(likelihood, spec.shape, sigma, learn_sigma)
        self.register_buffer("trained_steps", torch.zeros((), dtype=torch.long))

    # --- the objective ---------------------------------------------------------------------------------------

    def initialise(self, batch: Batch) -> None:
        """Begin near what is known of the data before any training."""
        if self.informed_start:
            self.encoder.start_from(batch.x.mean(0))
            self.posterior.start_narrow()
            self.decoder.start_from(self.likelihood.from_mean(batch.x.mean(0)))

    def loss(self, batch: Batch) -> Terms:
        """The objective in nats per example, and its parts."""
        if self.training:
            self.trained_steps += 1
        weight = self.beta * (torch.clamp(self.trained_steps / self.kl_warmup, max=1) if self.kl_warmup else 1)
        return self._objective(batch, weight, self.free_bits)

    def validate(self, batch: Batch) -> Terms:
        """The same without warm-up and free bits."""
        return self._objective(batch, self.beta, 0.0)

    def _objective(self, batch: Batch, weight: Tensor | float, free_bits: float) -> Terms:
        parameters = self.infer(batch.x, batch.label)
        drawn = self.importance(batch.x, batch.label, self.k, parameters)
        reconstruction = -drawn.log_likelihood.mean()
        kl = self._kl(parameters, drawn)
        terms = {"neg_elbo": reconstruction + kl.sum(), "reconstruction": reconstruction, "kl": kl.sum()}
        if self.k > 1:
            return {"loss": -drawn.log_evidence().mean(), **terms}
        return {"loss": reconstruction + weight * kl.clamp(min=free_bits).sum(), **terms}

    def _kl(self, parameters: Tensor, drawn: Importance) -> Tensor:
        """KL(q ‖ p) in nats, of each latent dimension where it is known in closed form, else in all, from the samples."""
        if isinstance(self.posterior, GaussianPosterior) and isinstance(self.prior, StandardNormal):
            return self.posterior.kl_to_standard(parameters).mean(0)
        return (drawn.log_posterior - drawn.log_prior).mean()[None]

    @property
    def standard_prior(self) -> bool:
        """Whether p(z) = N(0, I) and p(x|z) depends on z alone."""
        return isinstance(self.prior, StandardNormal) and not self.classes

    # --- the model -------------------------------------------------------------------------------------------

    def infer(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The parameters of q(z|x), (n, …)."""
        return self.posterior(self.encoder(self.dropout(x), self._condition(label, len(x), x.device)))

    def importance(self, x: Tensor, label: Tensor | None, k: int, parameters: Tensor | None = None) -> Importance:
        """k samples from the posterior of each example (or from that with other `parameters`), with all three densities."""
        drawn = self.posterior.draw(self.infer(x, label) if parameters is None else parameters, k)
        raw = self._raw(drawn.z.flatten(0, 1), None if label is None else label.repeat(k))
        log_likelihood = self.likelihood.log_prob(x, raw.unflatten(0, (k, len(x))))
        return Importance(drawn.z, log_likelihood, self.prior.log_prob(drawn.z), drawn.log_prob)

    def encode(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The latent point that stands for each example, (n, latent)."""
        return self.posterior.centre(self.infer(x, label))

    def draw_posterior(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """One z ~ q(z|x) for each example, (n, latent)."""
        return self.posterior.draw(self.infer(x, label), 1).z[0]

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """E[x|z], (n, *shape)."""
        return self.likelihood.mean(self._raw(z, label))

    def log_likelihoods(self, x: Tensor, z: Tensor) -> Tensor:
        """ln p(x_i|z_j), x (n, *shape), z (m, latent) → (n, m)."""
        return self.likelihood.pairs(x, self._raw(z, None))

    @torch.no_grad()
    def sample(self, n: int, label: Tensor | None = None) -> Tensor:
        """Means of p(x|z) for z ~ p(z), (n, *shape); a conditional model takes the classes in turn unless told."""
        if self.classes and label is None:
            label = torch.arange(n, device=self.trained_steps.device) % self.classes
        return self.decode(self.prior.sample(n), label)

    def _raw(self, z: Tensor, label: Tensor | None) -> Tensor:
        return self.decoder(z, self._condition(label, len(z), z.device))

    def _condition(self, label: Tensor | None, n: int, device: torch.device) -> Tensor:
        """The class one-hot, (n, classes); no columns where the model is not conditional."""
        if not self.classes:
            return torch.empty(n, 0, device=device)
        if label is None:
            raise UserError("this model is conditional: it needs a class for each example")
        return F.one_hot(label, self.classes).float()
