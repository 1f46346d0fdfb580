"""`model=vae`: the variational autoencoder.

    ln p(x) ≥ ELBO = E_q(z|x)[ln p(x|z)] − KL(q(z|x) ‖ p(z)),      x decoded from z, z ~ p(z).

Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014).
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.base import Bound, Given, Latent, Posterior, Prior, TrainingObjective, objectives, posteriors, priors
from genexp.latent.importance import Importance
from genexp.latent.likelihoods import Gaussian, Likelihood, likelihoods
from genexp.latent.linear_gaussian import LinearGaussian
from genexp.latent.memory import Memory
from genexp.latent.networks import Networks, Sizes, networks
from genexp.machine.device import all_digits
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.settings import Fraction


@models.register("vae")
class VAE(GenerativeModel):
    r"""A VAE for examples of any shape.

    In short:
        A latent space and the decoder from it to the data are learnt together with an encoder, which says where in it an
        example belongs: the likelihood is an integral that cannot be done, and the encoder gives a bound of it.

    Equation:
        p_θ(x) = \int p_θ(x | z) \, p(z) \, dz
        \ln p_θ(x) \ge \mathrm{ELBO} = \mathbb{E}_{q_φ(z|x)}[\ln p_θ(x | z)] - \mathrm{KL}(q_φ(z | x) \| p(z))

    Args:
        latent: dimensions of z.
        input_dropout: share of the values of x that are hidden from the encoder in training: it is the encoder that overfits,
            and this keeps it from knowing the training pictures by heart.
        conditional: whether encoder, decoder and with them every density are given the class as well.
        network: encoder and decoder.
        likelihood: p(x|z).
        posterior: q(z|x).
        prior: p(z).
        objective: what is minimised.

    Raises:
        UserError: parts that do not go together; `conditional` on data without classes; values that the likelihood has no
            probability for.
    """

    objective: Objective = "bound"
    trained_steps: Tensor
    memory: Memory | None

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent: Annotated[int, Field(ge=1, le=4096)] = 2,
        input_dropout: Fraction = 0.0,
        conditional: bool = False,
        network: Part[Networks] = networks.part("mlp"),
        likelihood: Part[Likelihood] = likelihoods.part("bernoulli"),
        posterior: Part[Posterior] = posteriors.part("gaussian"),
        prior: Part[Prior] = priors.part("standard"),
        objective: Part[TrainingObjective] = objectives.part("elbo"),
    ) -> None:
        super().__init__()
        if conditional and not spec.classes:
            raise UserError("model.conditional=true: the data has no classes")
        self.latent, self.shape = latent, spec.shape
        self.conditional, self.classes = conditional, len(spec.classes) if conditional else 0
        self.dropout = nn.Dropout(input_dropout)
        likely = likelihood(spec)
        self.networks = network(Sizes(spec.shape, latent, self.classes, likely.logits))
        self.encoder, self.decoder = self.networks.encoder, self.networks.decoder
        self.posterior = posterior(self.encoder.features, latent)
        space = Latent(latent, spec.shape, self.classes, self.posterior, self.encoder.looks_up)
        self.prior, self.training_objective = prior(space), objective(space)
        if self.training_objective.path_only and not self.posterior.has_density:
            raise UserError(
                f"model/posterior={posterior.name}: a doubly reparameterised gradient wants ln q(z|x) at any z, and it has none",
                hint="model.objective.gradient=plain, or model/posterior=gaussian",
            )
        self.likelihood, self.memory = likely, None
        self.register_buffer("trained_steps", torch.zeros((), dtype=torch.long))

    @property
    def can(self) -> frozenset[Ability]:
        more: dict[Ability, bool] = {
            "plane": self.latent == 2,
            "pairs": self.latent == 2 and self.standard_prior and self.likelihood.has_pairs,
            "posterior_flow": self.posterior.has_flow,
            "mixed_posterior": self.posterior.mixed,
            "unit_kl": self.prior.standard and self.posterior.gaussian,
            "latent_layers": self.prior.layered,
            "linear": self.standard_prior and self.posterior.gaussian and self._is_linear,
            "classes": self.conditional,
            "exemplars": self.encoder.looks_up,
        }
        words = (word for word, there in more.items() if there)
        return frozenset({"sample", "bound", "latents", "posterior", "prior", *words})

    # --- the objective ---------------------------------------------------------------------------------------

    def initialise(self, batch: Batch) -> None:
        """Begin near what is known of the data before any training; UserError where its values have no likelihood."""
        self.likelihood.check(batch.x)
        self.networks.initialise(batch.x, self.likelihood.from_mean, self.posterior)
        self.likelihood.initialise(batch.x, lambda few: self._reconstruct(batch[: len(few)]))
        self.prior.initialise(batch.x)
        self.training_objective.initialise(batch.x)

    def _reconstruct(self, batch: Batch) -> Tensor:
        return self._raw(self.encode(batch.x, batch.label), batch.label)

    @property
    def concludes(self) -> bool:
        return self.prior.fits

    @torch.no_grad()
    def conclude(self, batch: Batch) -> None:
        """Fit a prior that wants to be to samples of the training posteriors, four of each example."""
        if self.prior.fits:
            drawn = [self.posterior.draw(self.infer(few.x, few.label), 4) for few in batch.split(512)]
            z = torch.cat([part.z for part in drawn], dim=1)
            groups = torch.arange(len(batch.x)).repeat(4)
            self.prior.fit(z.flatten(0, 1), None if batch.label is None else batch.label.repeat(4), groups)

    def loss(self, batch: Batch) -> Terms:
        """The objective in nats per example, and the parts of the ELBO."""
        if self.training:
            self.trained_steps += 1
        rows = self.reduce(batch.x)
        bound = self._bound(batch if rows is None else replace(batch, x=rows))
        return {"loss": self.training_objective.loss(bound, self.trained_steps), **_terms(bound), **bound.noted}

    @torch.no_grad()
    def reduce(self, x: Tensor) -> Tensor | None:
        """What the encoder makes of x before its first weight, where p(x|z) asks for |x − E[x|z]|² alone."""
        return None if self.likelihood.variance is None or self.dropout.p else self.encoder.reduce(x)

    def validate(self, batch: Batch) -> Terms:
        """The same, the objective in its textbook form."""
        bound = self._bound(batch)
        return {"loss": self.training_objective.validate(bound), **_terms(bound), **bound.noted}

    def _bound(self, batch: Batch) -> Bound:
        """Posterior samples of the batch, and KL(q ‖ p): exactly where it is known, else from the samples."""
        parameters = self.infer(batch.x, batch.label)
        drawn = self.importance(batch.x, batch.label, self.training_objective.samples, parameters)
        if self.training_objective.path_only:
            drawn = replace(drawn, log_posterior=self.posterior.log_prob_along(drawn.z, parameters))

        def prior(n: int) -> Tensor:
            return self.prior.sample(n, self._given(None if batch.label is None else batch.label[:n]))

        return Bound(drawn, self._kl(drawn, parameters), self.latent, parameters, prior)

    def _kl(self, drawn: Importance, parameters: Tensor) -> Tensor:
        """KL(q ‖ p) in nats, a mean over the batch: of each dimension, of each layer given samples of those above, or in one."""
        exact = self.posterior.kl_to_standard(parameters) if self.prior.standard else None
        if exact is not None:
            return exact.mean(0)
        if self.prior.layered:
            return self.posterior.layer_kl(drawn.z, parameters).mean((0, 1))
        return (drawn.log_posterior - drawn.log_prior).mean()[None]

    @property
    def standard_prior(self) -> bool:
        """Whether p(z) = N(0, I) and p(x|z) depends on z alone."""
        return self.prior.standard and not self.classes

    # --- the model -------------------------------------------------------------------------------------------

    def infer(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The parameters of q(z|x), (n, …)."""
        said = self._said(x, label)
        if self.memory is None or not self.posterior.refines:
            return self._refined(said, x, label)
        return self.memory.recall(x, label, lambda new: self._refined(said[new], x[new], None if label is None else label[new]))

    def _said(self, x: Tensor, label: Tensor | None) -> Tensor:
        with all_digits(x.device) if self.posterior.refines else nullcontext():  # where a fit begins depends on x alone
            return self.posterior(self.encoder(self.dropout(x), self._condition(label, len(x), x.device)))

    def _refined(self, said: Tensor, x: Tensor, label: Tensor | None) -> Tensor:
        return self.posterior.refine(said, lambda z: torch.add(*self._log_joint(x, label, z)))

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Inside, where no weight changes, posteriors are fitted to each example once; in another inside, to each once more."""
        before, self.memory = self.memory, Memory()
        try:
            yield
        finally:
            self.memory = before

    def importance(self, x: Tensor, label: Tensor | None, k: int, parameters: Tensor | None = None) -> Importance:
        """k samples from the posterior of each example (or from that with other `parameters`), with all three densities."""
        drawn = self.posterior.draw(self.infer(x, label) if parameters is None else parameters, k)
        return Importance(drawn.z, *self._log_joint(x, label, drawn.z), drawn.log_prob)

    def _log_joint(self, x: Tensor, label: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor]:
        """ln p(x|z) and ln p(z) of z (k, n, latent) for n examples, or what `reduce` makes of them, each (k, n)."""
        given = self._given(label)
        label = None if label is None else label.repeat(len(z))
        if isinstance(self.likelihood, Gaussian) and x.shape[1:] != self.shape:  # reduced
            squares = self.decoder.squares(x, z, self._condition(label, z.shape[0] * z.shape[1], z.device))
            return self.likelihood.from_squares(squares), self.prior.log_prob(z, given)
        raw = self._raw(z.flatten(0, 1), label)
        return self.likelihood.log_prob(x, raw.unflatten(0, z.shape[:2])), self.prior.log_prob(z, given)

    def unit_kl(self, x: Tensor, label: Tensor | None = None) -> Tensor | None:
        """KL(q(z|x) ‖ N(0, I)) of each latent dimension in nats, (n, latent), where it has a closed form."""
        return self.posterior.kl_to_standard(self.infer(x, label))

    @property
    def _is_linear(self) -> bool:
        return self.decoder.affine() is not None and self.likelihood.variance is not None

    @torch.no_grad()
    def linear(self) -> LinearGaussian:
        """Of a linear decoder with a Gaussian likelihood: p(x), p(z|x) and the ELBO in closed form, on the CPU."""
        affine, variance = self.decoder.affine(), self.likelihood.variance
        assert affine is not None
        assert variance is not None
        return LinearGaussian(*(part.detach().double().cpu() for part in (*affine, variance)))

    def encode(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The latent point that stands for each example, (n, latent)."""
        return self.posterior.centre(self.infer(x, label))

    def crossed(self, x: Tensor) -> Tensor:
        """The latent points of each example i as the exemplar of each example j shows it, (i, j, latent)."""
        i, j = torch.cartesian_prod(*[torch.arange(len(x), device=x.device)] * 2).unbind(1)
        return self.posterior.centre(self._refined(self._said(x, None)[j], x[i], None)).unflatten(0, (len(x), len(x)))

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
        """Means of p(x|z), of zeros and ones x itself, for z ~ p(z), (n, *shape); a conditional model takes the classes in turn
        unless told.
        """
        if self.classes and label is None:
            label = torch.arange(n, device=self.trained_steps.device) % self.classes
        return self.likelihood.example(self._raw(self.sample_latent(n, label), label))

    @torch.no_grad()
    def sample_latent(self, n: int, label: Tensor | None = None) -> Tensor:
        """n latent points, (n, latent), from the prior."""
        return self.prior.sample(n, self._given(label))

    def _given(self, label: Tensor | None) -> Given:
        """What the prior may depend on."""
        return Given(self.infer, self.posterior, label if self.classes else None)

    def _raw(self, z: Tensor, label: Tensor | None) -> Tensor:
        return self.decoder(z, self._condition(label, len(z), z.device))

    def _condition(self, label: Tensor | None, n: int, device: torch.device) -> Tensor:
        """The class one-hot, (n, classes); no columns where the model is not conditional."""
        if not self.classes:
            return torch.empty(n, 0, device=device)
        if label is None:
            raise UserError("this model is conditional: it needs a class for each example")
        return F.one_hot(label, self.classes).float()


def _terms(bound: Bound) -> Terms:
    """The ELBO's two parts and their sum, in nats per example."""
    kl = bound.kl.sum()
    return {"neg_elbo": bound.reconstruction + kl, "reconstruction": bound.reconstruction, "kl_to_prior": kl}
