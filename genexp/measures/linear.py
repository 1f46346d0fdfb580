"""The linear VAE, x = Wz + b + σε, held against what is known in closed form: its own integrals, and probabilistic PCA.

At its optimum the span of W is that of the leading eigenvectors of the data's covariance, |W_i|² = λ_i − σ² along them, the
posterior is exact, and the ELBO is probabilistic PCA's ln p(x). Of a direction with λ_i ≤ σ² nothing is left: its posterior is
the prior, and that is the maximum of the likelihood, no failure of the training.

Source: Lucas et al., Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse (2019).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.latent.linear_gaussian import LinearGaussian
from genexp.machine.device import all_digits
from genexp.measures.probabilistic_pca import ProbabilisticPCA, fit_ppca
from genexp.measures.record import Value, cannot_see, measure
from genexp.seeds import seed_for
from genexp.subject import Subject, once

MOST = 8_192  # training examples that closed forms are found of
MODEL = {"linear"}


@dataclass(frozen=True)
class Found:
    """A trained linear VAE on examples x (n, d) with the parameters of its posteriors, in float64 on the CPU; and the
    eigenvalues (d,), largest first, and the best that a model with so many latents can be.
    """

    own: LinearGaussian
    x: Tensor
    parameters: Tensor
    eigenvalues: Tensor
    best: ProbabilisticPCA

    @property
    def kl(self) -> Tensor:
        """KL(q ‖ N(0, I)) of each latent dimension, a mean over the examples; (latent,)."""
        return self.own.kl(self.parameters).mean(0)

    @property
    def above(self) -> Tensor:
        """The eigenvalues above σ² that there are latents for: theory keeps these directions and no others."""
        leading = self.eigenvalues[: self.own.weight.shape[1]]
        return leading[leading > self.best.noise]

    @property
    def kl_in_theory(self) -> Tensor:
        """The same at the optimum, ½ ln(λ_i/σ²) or 0, as for latents for which there is no direction."""
        latent = self.own.weight.shape[1]
        leading = F.pad(self.eigenvalues[:latent], (0, max(0, latent - len(self.eigenvalues))))
        return 0.5 * (leading / self.best.noise).clamp(min=1).log()


@once
def trained(subject: Subject) -> Found:
    """On training examples, of whose likelihood the optimum is known."""
    batch = subject.data.examples(MOST, seed_for(subject.settings.seed, "linear"))
    return found_on(subject, batch.x.to(subject.device))


@torch.no_grad()
def found_on(subject: Subject, x: Tensor) -> Found:
    model = subject.model
    own, flat = model.linear(), x.flatten(1).double().cpu()
    with all_digits(subject.device):
        parameters = model.infer(x).double().cpu()
    learnt = any(weights.requires_grad for weights in model.likelihood.parameters())
    best = fit_ppca(flat, own.weight.shape[1], None if learnt else float(own.variance))
    eigenvalues = torch.linalg.eigvalsh(torch.cov(flat.T, correction=0).view(flat.shape[1], -1)).flip(0)
    return Found(own, flat, parameters, eigenvalues, best)


@measure("closed_nll", "−ln p(x) of held-out examples in closed form, nats", better="lower", headline=22, model=MODEL)
@cannot_see("data that no Gaussian describes: only the linear model is solved")
def closed_nll(subject: Subject) -> Value:
    """Beside what the best linear model of the training examples, probabilistic PCA, gives the same ones."""
    x = subject.test.x.flatten(1).double().cpu()
    own, best = (-float(each.log_prob(x).mean()) for each in (subject.model.linear(), trained(subject).best))
    return Value(own + subject.log_scale, baseline=best + subject.log_scale)


@measure("closed_neg_elbo", "−ELBO of held-out examples in closed form, nats", better="lower", headline=21, model=MODEL)
def closed_neg_elbo(subject: Subject) -> Value:
    found = found_on(subject, subject.test.x)
    bound, nll = (-float(each.mean()) for each in (found.own.elbo(found.x, found.parameters), found.own.log_prob(found.x)))
    return Value(bound + subject.log_scale, floor=nll + subject.log_scale)


@measure("posterior_gap", "KL(q(z|x) ‖ p(z|x)) of held-out examples in closed form, nats", better="lower", model=MODEL)
@cannot_see("the fit of the decoder: a perfect encoder of a poor model has none")
def posterior_gap(subject: Subject) -> Value:
    found = found_on(subject, subject.test.x)
    return Value(float(found.own.gap(found.x, found.parameters).mean()), floor=0.0)


@measure(
    "pca_gap",
    "−ELBO of training examples above probabilistic PCA's −ln p, the optimum, both in closed form, nats",
    better="lower",
    headline=18,
    model=MODEL,
)
@cannot_see("rotations within the span, which leave it as it is")
def pca_gap(subject: Subject) -> Value:
    found = trained(subject)
    return Value(float((found.best.log_prob(found.x) - found.own.elbo(found.x, found.parameters)).mean()), floor=0.0)


@measure(
    "pca_angle",
    "largest angle between the decoder's span and that of the principal directions above σ², degrees",
    better="lower",
    model=MODEL,
)
@cannot_see("the scale and the rotation of the directions")
def pca_angle(subject: Subject) -> Value | None:
    """None where theory keeps no direction, or where there is a latent for every dimension."""
    found = trained(subject)
    count = len(found.above)
    if not 0 < count < found.x.shape[1]:
        return None
    learnt = torch.linalg.svd(found.own.weight, full_matrices=False).U[:, :count]
    kept = found.best.directions[:, :count].double()
    away = kept - learnt @ (learnt.T @ kept)  # the sines of the angles are its singular values
    return Value(float(torch.rad2deg(torch.asin(torch.linalg.matrix_norm(away, 2).clamp(max=1)))), floor=0.0)
