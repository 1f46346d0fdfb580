"""Pictures of inference: true posteriors beside those that stand for them, latents layer by layer, the noise of gradients."""

import numpy as np
import torch
from matplotlib.figure import Figure

from genexp.figures import images, inference
from genexp.figures.linear import Bell
from genexp.machine.device import all_digits
from genexp.measures.amortization import gaps
from genexp.measures.gradients import effective_share, noise
from genexp.measures.layers import layer_kl
from genexp.measures.record import picture
from genexp.pictures.latent import RECONSTRUCTED, array, spread
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject

OUTLINED, SIDE = 6, 120  # examples whose posteriors are drawn, points a side of each
REACH = 4.0  # standard deviations of the widest of the Gaussians around it
DATA = {"examples", "pictures"}


@picture(
    "true_posteriors",
    "p(z|x) by quadrature; the encoder's q(z|x), and the Gaussian fitted to that example alone",
    lead=2,
    model={"pairs", "posterior", "unit_kl"},
    data=DATA,
)
def true_posteriors(subject: Subject) -> Figure | None:
    """Of the first test examples; where the gaps of the encoder are asked for."""
    if not subject.settings.evaluation.amortization_images:
        return None
    found, model = gaps(subject), subject.model
    few = subject.test[: min(OUTLINED, len(found.parameters))]
    with torch.no_grad(), all_digits(subject.device):
        encoder, fitted = (_bells(parameters) for parameters in (model.infer(few.x), found.parameters[: len(few.x)]))
        shown = []
        for index, (own, best) in enumerate(zip(encoder, fitted, strict=True)):
            middle = (own.mean + best.mean) / 2
            wide = max(float(np.sqrt(bell.covariance.diagonal().max())) for bell in (own, best))
            half = REACH * wide + float(np.abs(own.mean - best.mean).max()) / 2
            axis = torch.linspace(-half, half, SIDE, device=subject.device)
            z = torch.cartesian_prod(axis + float(middle[1]), axis + float(middle[0])).flip(1)  # row by row: z₁ runs fastest
            log_p = model.log_likelihoods(few.x[index : index + 1], z)[0] - 0.5 * z.square().sum(1)
            height = torch.exp(log_p - log_p.max()).view(SIDE, SIDE)
            extent = (middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half)
            shown.append(inference.Posterior(array(few.x[index, 0]), array(height), extent, own, best))
    return inference.true_posteriors(shown, found.evidence - found.fitted, found.fitted - found.encoder)


def _bells(parameters: torch.Tensor) -> list[Bell]:
    """Gaussians in the plane, of μ and ln σ², (n, 4)."""
    mean, log_variance = parameters.detach().double().cpu().chunk(2, dim=1)
    return [Bell(mu.numpy(), np.diag(np.exp(s.numpy()))) for mu, s in zip(mean, log_variance, strict=True)]


@picture("layers", "What each layer of latents says of an example", lead=2, model={"latent_layers"})
def layers(subject: Subject) -> Figure:
    return inference.layers(layer_kl(subject).numpy(), subject.model.posterior.sizes)


@picture(
    "layer_by_layer",
    "Test pictures; the upper layers from q(z|x), and those below from the prior",
    lead=3,
    model={"latent_layers", "latents"},
    data=DATA,
)
def layer_by_layer(subject: Subject) -> Figure:
    """What a layer decides is what changes when it is drawn from the prior, given those above it."""
    model, batch = subject.model, subject.test_part[spread(subject.test_part, RECONSTRUCTED)].batch()
    named = {"test": array(batch.x)}
    with torch.no_grad(), seeded(seed_for(subject.settings.seed, "layer by layer"), subject.device):
        parameters = model.infer(batch.x, batch.label)
        said, empty = model.posterior.said(parameters), parameters.new_empty(len(parameters), 0)
        count = len(said)
        for drawn in range(count, -1, -1):
            kept = "all layers" if drawn == count else "none" if drawn == 0 else f"{drawn} of {count}, the upper"
            named[kept] = array(model.decode(model.posterior.descend(empty, said, drawn), batch.label))
    return images.rows(named, "layers of z drawn from q(z|x); those below them from the prior")


@picture("gradients", "The noise of gradients, and the samples that count, against k", lead=4, model={"posterior", "latents"})
def gradients(subject: Subject) -> Figure | None:
    """Where they are asked for."""
    if not subject.settings.evaluation.gradient_images:
        return None
    found = noise(subject)
    encoder, decoder = ({name: getattr(each, side) for name, each in found.items()} for side in ("encoder", "decoder"))
    return inference.gradients(encoder, decoder, effective_share(subject))
