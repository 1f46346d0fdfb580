"""The kinds of parts that a latent-variable model p(x) = ∫ p(x|z) p(z) dz is put together from, but for its likelihood."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from genexp.data.base import Terms
from genexp.latent.importance import Importance
from genexp.registry import Registry


@dataclass(frozen=True)
class Draws:
    """k samples from each of n posteriors, z (k, n, latent), and ln q(z|x), (k, n), in nats."""

    z: Tensor
    log_prob: Tensor


LogJoint = Callable[[Tensor], Tensor]  # z (k, n, latent) → ln p(x, z) of n examples, (k, n), in nats


class Posterior(nn.Module):
    """q(z|x): a head on the encoder's features (n, features), which gives parameters (n, …), which give samples.

    Told when built: `features`, how many the encoder gives, and `latent`, the dimensions of z.
    `gaussian`: whether q is a Gaussian with a diagonal covariance and its parameters, (n, 2·latent), are μ and ln σ².
    `has_flow`: whether it is a FlowPosterior, noise that goes through a flow.
    `has_density`: whether ln q is known at any z, and not of its own samples only.
    `layered`: whether z is in layers, each given those above it.
    `asks_decoder`: whether `refine` does, so that q is known by x and all the rest of the model only.
    `mixed`: whether q is a mixture of the Gaussians that `gaussians(parameters)` gives.
    """

    gaussian: ClassVar[bool] = False
    has_flow: ClassVar[bool] = False
    has_density: ClassVar[bool] = False
    layered: ClassVar[bool] = False
    asks_decoder: ClassVar[bool] = False
    mixed: ClassVar[bool] = False

    @property
    def refines(self) -> bool:
        """Whether `refine` changes anything, as it is now."""
        return False

    def forward(self, features: Tensor) -> Tensor:
        """The parameters of the posteriors."""
        raise NotImplementedError

    def refine(self, parameters: Tensor, log_joint: LogJoint) -> Tensor:
        """The parameters when the decoder has been asked as well. Most posteriors are the encoder's alone."""
        return parameters

    def draw(self, parameters: Tensor, k: int) -> Draws:
        """k samples of each."""
        raise NotImplementedError

    def log_prob(self, z: Tensor, parameters: Tensor) -> Tensor:
        """ln q(z|x) in nats of z (k, n, latent), (k, n), where `has_density`."""
        raise NotImplementedError

    def log_prob_along(self, z: Tensor, parameters: Tensor) -> Tensor:
        """The same with a gradient of z alone: the parameters, and weights of the posterior's own, are held fixed."""
        learnt = [weights for weights in self.parameters() if weights.requires_grad]
        for weights in learnt:
            weights.requires_grad_(False)
        try:
            return self.log_prob(z, parameters.detach())
        finally:
            for weights in learnt:
                weights.requires_grad_(True)

    def centre(self, parameters: Tensor) -> Tensor:
        """The point that stands for the posterior, (n, latent)."""
        raise NotImplementedError

    def kl_to_standard(self, parameters: Tensor) -> Tensor | None:
        """KL(q ‖ N(0, I)) of each latent dimension in nats, (n, latent); None where it has no closed form."""
        return None

    def layer_kl(self, z: Tensor, parameters: Tensor) -> Tensor:
        """KL(q(z_l|z_>l, x) ‖ p(z_l|z_>l)) of each layer in nats, z (k, n, latent) → (k, n, layers), where `layered`."""
        raise NotImplementedError

    def start_narrow(self) -> None:
        """Begin far narrower than the prior, where that can be."""

    def start_linear(self, scale: Tensor, first: int) -> None:
        """Begin as the posterior of probabilistic PCA, where that can be: the features from `first` on are whitened components
        of standard deviation `scale`, (latent,).
        """

    def start_told(self) -> None:
        """Begin with μ and ln σ² of the first latent as the first two features are, where that can be."""


@dataclass(frozen=True)
class Latent:
    """What a prior is told of the latent space: its dimensions, the shape of an example, how many classes a conditional model
    has (0: it has none), the posterior, and whether the encoder looks something up, so that nothing has a gradient of x.
    """

    size: int
    shape: tuple[int, ...]
    classes: int
    posterior: Posterior
    looks_up: bool = False


@dataclass(frozen=True)
class Given:
    """What a prior may depend on when it is asked: the classes, (n,), of z (…, n, latent), and the model's posterior: `infer`
    gives its parameters for examples, and `posterior` draws from them.
    """

    infer: Callable[[Tensor], Tensor]
    posterior: Posterior
    label: Tensor | None = None


class Prior(nn.Module):
    """p(z), or p(z|class) of a conditional model.

    Told when built: a `Latent`.
    `fits`: whether it is to be fitted, by `fit`, when all else is learnt.
    `layered`: whether it is in layers, those of the posterior.
    """

    fits: ClassVar[bool] = False
    layered: ClassVar[bool] = False

    @property
    def standard(self) -> bool:
        """Whether it is N(0, I), as it stands."""
        return False

    def initialise(self, x: Tensor) -> None:
        """Look once at training examples, before the first step. Most priors need not."""

    def fit(self, z: Tensor, label: Tensor | None, groups: Tensor) -> None:
        """Look once at samples z (n, latent) of the training posteriors, those of one example in one of the `groups`, (n,)."""

    def log_prob(self, z: Tensor, given: Given) -> Tensor:
        """ln p(z) in nats, (…, latent) → (…)."""
        raise NotImplementedError

    def sample(self, n: int, given: Given) -> Tensor:
        """n points, (n, latent)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Bound:
    """What a training step knows of ln p(x): posterior samples with their densities; and the KL term in nats, of each latent
    dimension (latent,), of each layer of them (layers,), or of all together (1,).

    `parameters`: of the posteriors, (n, …); `sample_prior`: draws so many points of p(z), (n, latent). `noted`: where an
    objective leaves further terms of its own, to be logged.
    """

    drawn: Importance
    kl: Tensor
    latent: int
    parameters: Tensor | None = None
    sample_prior: Callable[[int], Tensor] | None = None
    noted: Terms = field(default_factory=dict)

    @property
    def reconstruction(self) -> Tensor:
        """−E[ln p(x|z)], in nats."""
        return -self.drawn.log_likelihood.mean()


class TrainingObjective(nn.Module):
    """What is minimised, given the bound. `samples`: how many of the posterior it wants of each example. `path_only`: whether
    ln q(z|x) is to have gradients by way of z alone, and none by way of the parameters of q. What it learns itself (a
    discriminator) is trained in the same step.

    Told when built: the `Latent`, where it asks for it.
    """

    samples: int = 1
    path_only: bool = False

    def initialise(self, x: Tensor) -> None:
        """Look once at training examples, before the first step. Most objectives need not."""

    def loss(self, bound: Bound, step: Tensor) -> Tensor:
        """The loss in nats in training step number `step`, from 1."""
        return self.validate(bound)

    def validate(self, bound: Bound) -> Tensor:
        """The same in its textbook form."""
        raise NotImplementedError


posteriors = Registry("posterior", "genexp.latent", Posterior)
priors = Registry("prior", "genexp.latent", Prior)
objectives = Registry("objective", "genexp.latent", TrainingObjective)
