"""`model=vae`: the variational autoencoder, with parts to choose.

    ln p(x) ≥ ELBO = E_q(z|x)[ln p(x|z)] − KL(q(z|x) ‖ p(z)),      x decoded from z, z ~ p(z).

Sources: Kingma & Welling, Auto-Encoding Variational Bayes (2014); Burda et al., Importance Weighted Autoencoders (2016);
Higgins et al., β-VAE (2017); Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow (2016).
"""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.likelihoods import Likelihood, LikelihoodName, make_likelihood
from genexp.latent.mixture import MixturePrior
from genexp.latent.posteriors import GaussianPosterior, IAFPosterior
from genexp.latent.priors import FlowPrior, Given, StandardNormal, VampPrior
from genexp.models.base import GenerativeModel, Importance, Terms
from genexp.nn.mlp import Activation
from genexp.nn.networks import NetworkName, make_networks
from genexp.nn.perceptrons import Widths
from genexp.nn.principal import PrincipalEncoder
from genexp.registry import models
from genexp.settings import MOST_STEPS, Fraction, Scale, Weight, Width


@models.register("vae")
class VAE(GenerativeModel):
    """A VAE for examples of any shape.

    Args:
        latent: dimensions of z.
        network: `mlp`, fully connected; `conv`, the article's convolutions; `principal`, an MLP among principal components.
        encoder_widths, decoder_widths, activation: hidden layers of the networks (of `conv` the channels; it has its own
            activations).
        components: of `principal`: how many.
        frequencies, frequency_scale: of `mlp`: of the waves of z that the decoder also sees, in cycles per unit: number, and
            standard deviation; 0 is none.
        input_dropout: share of the values of x that are hidden from the encoder in training: it is the encoder that overfits,
            and this keeps it from knowing the training pictures by heart.
        likelihood: `bernoulli` on grey values in [0, 1]; `gaussian`, one σ for all pixels;
            `logistic`, probabilities of the 256 grey values, a scale for each pixel.
        sigma, learn_sigma: of the latter two: the standard deviation of a pixel, and whether it is learnt from there.
        posterior: `gaussian`, diagonal; `iaf`, that and an inverse autoregressive flow of `iaf_blocks` steps, each a masked
            network of width `iaf_width` that also sees a context of `iaf_context` features of x, by `iaf_library`.
        prior: `standard`; `flow` of `prior_blocks` couplings of width `prior_width`; `vamp` with as many `pseudo_inputs`;
            `mixture`: standard in training, and then `prior_components` Gaussians fitted to the training posteriors.
        sampling: where z comes from: `prior`; or, for `iaf`, `through_flow`: N(0, I) pushed through the posterior's flow with a
            zero context. That is what the seminar's article did, and it is wrong: the prior is on the flow's far side.
        beta: weight of the KL term; 1 is the ELBO.
        kl_warmup: steps over which that weight rises from 0.
        free_bits: nats of KL in each latent dimension that cost nothing in training.
        importance_samples: k; 1 trains the ELBO, more the tighter bound ln 1/k Σ p(x, z_i)/q(z_i|x) of IWAE.
        start: what training begins from: `random` weights; `mean`, decoding the mean picture, with narrow posteriors; `linear`,
            of `principal` alone: probabilistic PCA.
        conditional: whether encoder, decoder and with them every density are given the class as well.

    Raises:
        UserError: parts that do not go together; `conditional` on data without classes; values that the likelihood has no
            probability for.
    """

    objective: Objective = "bound"
    trained_steps: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent: Annotated[int, Field(ge=1, le=4096)] = 2,
        network: NetworkName = "mlp",
        encoder_widths: Widths = (512, 512),
        decoder_widths: Widths = (512, 512),
        activation: Activation = "silu",
        components: Width = 512,
        frequencies: Annotated[int, Field(ge=0, le=65_536)] = 0,
        frequency_scale: Scale = 1.0,
        input_dropout: Fraction = 0.0,
        likelihood: LikelihoodName = "bernoulli",
        sigma: Scale = 0.1,
        learn_sigma: bool = True,
        posterior: Literal["gaussian", "iaf"] = "gaussian",
        iaf_blocks: Annotated[int, Field(ge=1, le=256)] = 4,
        iaf_width: Width = 128,
        iaf_context: Width = 128,
        iaf_library: Literal["ours", "nflows"] = "ours",
        prior: Literal["standard", "flow", "vamp", "mixture"] = "standard",
        prior_blocks: Annotated[int, Field(ge=1, le=256)] = 6,
        prior_width: Width = 128,
        pseudo_inputs: Width = 100,
        prior_components: Width = 100,
        sampling: Literal["prior", "through_flow"] = "prior",
        beta: Weight = 1.0,
        kl_warmup: Annotated[int, Field(ge=0, le=MOST_STEPS)] = 0,
        free_bits: Weight = 0.0,
        importance_samples: Width = 1,
        start: Literal["random", "mean", "linear"] = "mean",
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.latent, self.shape = latent, spec.shape
        self.beta, self.kl_warmup, self.free_bits, self.k = beta, kl_warmup, free_bits, importance_samples
        self.start, self.sampling = start, sampling
        for wrong, why in (
            (network == "principal" and likelihood == "bernoulli", "model.network=principal decodes grey values, not logits"),
            (
                importance_samples > 1 and (beta != 1 or kl_warmup or free_bits),
                "model.importance_samples: that bound has no KL term",
            ),
            (prior == "mixture" and latent > 512, "model.prior=mixture: at most 512 latent dimensions, for full covariances"),
            (prior == "vamp" and (posterior == "iaf" or conditional), "model.prior=vamp needs Gaussian posteriors of x alone"),
            (prior == "flow" and latent < 2, "model.prior=flow: a coupling needs at least two latent dimensions"),
            (conditional and not spec.classes, "model.conditional=true: the data has no classes"),
            (start == "linear" and network != "principal", "model.start=linear needs model.network=principal"),
            (start == "linear" and latent > components, f"model.start=linear: fewer components than latents ({latent})"),
            (
                sampling == "through_flow" and posterior != "iaf",
                "model.sampling=through_flow needs model.posterior=iaf",
            ),
        ):
            if wrong:
                raise UserError(why)
        self.conditional, self.classes = conditional, len(spec.classes) if conditional else 0
        self.dropout = nn.Dropout(input_dropout)
        self.encoder, self.decoder = make_networks(
            network,
            spec.shape,
            latent,
            self.classes,
            encoder_widths=encoder_widths,
            decoder_widths=decoder_widths,
            activation=activation,
            frequencies=frequencies,
            frequency_scale=frequency_scale,
            components=components,
            bounded=likelihood != "bernoulli",
        )
        features = self.encoder.features
        self.posterior: GaussianPosterior | IAFPosterior = (
            GaussianPosterior(features, latent)
            if posterior == "gaussian"
            else IAFPosterior(features, latent, iaf_blocks, iaf_width, iaf_context, iaf_library)
        )
        self.prior: StandardNormal | FlowPrior | VampPrior | MixturePrior
        if prior == "standard":
            self.prior = StandardNormal(latent)
        elif prior == "flow":
            self.prior = FlowPrior(latent, prior_blocks, prior_width)
        elif prior == "vamp":
            self.prior = VampPrior(spec.shape, pseudo_inputs)
        else:
            self.prior = MixturePrior(latent, prior_components, self.classes)
        self.likelihood: Likelihood = make_likelihood(likelihood, spec, sigma, learn_sigma)
        self.register_buffer("trained_steps", torch.zeros((), dtype=torch.long))

    @property
    def can(self) -> frozenset[Ability]:
        more: dict[Ability, bool] = {
            "plane": self.latent == 2,
            "pairs": self.latent == 2 and self.standard_prior and self.likelihood.has_pairs,
            "through_flow": isinstance(self.posterior, IAFPosterior),
            "classes": self.conditional,
        }
        words = (word for word, there in more.items() if there)
        return frozenset({"sample", "bound", "latents", "posterior", "prior", *words})

    # --- the objective ---------------------------------------------------------------------------------------

    def initialise(self, batch: Batch) -> None:
        """Begin near what is known of the data before any training; UserError where its values have no likelihood."""
        self.likelihood.check(batch.x)
        if self.start != "random" or isinstance(self.encoder, PrincipalEncoder):
            self.encoder.initialise(batch.x)
        if self.start != "random":
            self.decoder.initialise(batch.x, self.likelihood.from_mean)
            self.posterior.start_narrow()
        if self.start == "linear":
            self.posterior.start_linear(self.encoder.principal.scale[: self.latent], self.encoder.nonlinear)
        if isinstance(self.prior, VampPrior):
            self.prior.initialise(batch.x)

    @torch.no_grad()
    def conclude(self, batch: Batch) -> None:
        """Fit a mixture prior to samples of the training posteriors, four of each picture."""
        if isinstance(self.prior, MixturePrior):
            drawn = [self.posterior.draw(self.infer(few.x, few.label), 4) for few in batch.split(512)]
            z = torch.cat([part.z for part in drawn], dim=1)
            groups = torch.arange(len(batch.x)).repeat(4)
            self.prior.fit(z.flatten(0, 1), None if batch.label is None else batch.label.repeat(4), groups)

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
        return {"loss": reconstruction + weight * kl.clamp(min=free_bits * self.latent / len(kl)).sum(), **terms}

    def _kl(self, parameters: Tensor, drawn: Importance) -> Tensor:
        """KL(q ‖ p) in nats, of each latent dimension where it is known in closed form, else in all, from the samples."""
        if isinstance(self.posterior, GaussianPosterior) and self._prior_is_standard:
            return self.posterior.kl_to_standard(parameters).mean(0)
        return (drawn.log_posterior - drawn.log_prior).mean()[None]

    @property
    def standard_prior(self) -> bool:
        """Whether p(z) = N(0, I) and p(x|z) depends on z alone."""
        return self._prior_is_standard and not self.classes

    @property
    def _prior_is_standard(self) -> bool:
        return isinstance(self.prior, StandardNormal) or (isinstance(self.prior, MixturePrior) and not self.prior.fitted)

    # --- the model -------------------------------------------------------------------------------------------

    def infer(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The parameters of q(z|x), (n, …)."""
        return self.posterior(self.encoder(self.dropout(x), self._condition(label, len(x), x.device)))

    def importance(self, x: Tensor, label: Tensor | None, k: int, parameters: Tensor | None = None) -> Importance:
        """k samples from the posterior of each example (or from that with other `parameters`), with all three densities."""
        drawn = self.posterior.draw(self.infer(x, label) if parameters is None else parameters, k)
        raw = self._raw(drawn.z.flatten(0, 1), None if label is None else label.repeat(k))
        log_likelihood = self.likelihood.log_prob(x, raw.unflatten(0, (k, len(x))))
        return Importance(drawn.z, log_likelihood, self.prior.log_prob(drawn.z, self._given(label)), drawn.log_prob)

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
        return self.decode(self.sample_latent(n, self.sampling, label), label)

    @torch.no_grad()
    def sample_latent(self, n: int, sampling: str = "prior", label: Tensor | None = None) -> Tensor:
        """n latent points, (n, latent), from where `sampling` says."""
        if sampling == "through_flow":
            assert isinstance(self.posterior, IAFPosterior)
            context = torch.zeros(n, self.posterior.context_size, device=self.trained_steps.device)
            return self.posterior.push(torch.randn(n, self.latent, device=context.device), context)[0]
        return self.prior.sample(n, self._given(label))

    def _given(self, label: Tensor | None) -> Given:
        """What the prior depends on."""
        pseudo = self.infer(self.prior.inputs) if isinstance(self.prior, VampPrior) else None
        return Given(pseudo, label if self.classes else None)

    def _raw(self, z: Tensor, label: Tensor | None) -> Tensor:
        return self.decoder(z, self._condition(label, len(z), z.device))

    def _condition(self, label: Tensor | None, n: int, device: torch.device) -> Tensor:
        """The class one-hot, (n, classes); no columns where the model is not conditional."""
        if not self.classes:
            return torch.empty(n, 0, device=device)
        if label is None:
            raise UserError("this model is conditional: it needs a class for each example")
        return F.one_hot(label, self.classes).float()
