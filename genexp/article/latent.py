"""What the article took: the library nflows in the posterior, and samples that are none of its model's."""

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.latent.base import Given, Latent, Posterior, posteriors, priors
from genexp.latent.posteriors import Blocks, FlowPosterior
from genexp.latent.priors import StandardNormal
from genexp.settings import Width


@posteriors.register("nflows_iaf")
def nflows_iaf(features: int, latent: int, *, blocks: Blocks = 4, width: Width = 128, context: Width = 128) -> FlowPosterior:
    """An inverse autoregressive flow by the library nflows, whose steps begin by shrinking.

    Args:
        blocks: random permutations, each followed by a masked affine autoregressive transform.
        width: of each one's network.
        context: features of x that every step sees.
    """
    from nflows.transforms import CompositeTransform, MaskedAffineAutoregressiveTransform, RandomPermutation

    made = {"features": latent, "hidden_features": width, "context_features": context}

    def flow() -> nn.Module:
        return CompositeTransform(
            [part for _ in range(blocks) for part in (RandomPermutation(latent), MaskedAffineAutoregressiveTransform(**made))]
        )

    return FlowPosterior(features, latent, context, flow)


@priors.register("through_flow")
class ThroughFlow(StandardNormal):
    """N(0, I); but what is sampled is that noise pushed through the posterior's flow with a zero context.

    It is wrong: the prior is on the flow's far side.
    """

    def __init__(self, latent: Latent) -> None:
        super().__init__(latent)
        if not latent.posterior.has_flow:
            raise UserError("model/prior=through_flow needs a posterior with a flow", hint="model/posterior=iaf")

    def sample(self, n: int, given: Given | None = None) -> Tensor:
        assert given is not None
        return through_flow(given.posterior, n)


@torch.no_grad()
def through_flow(posterior: Posterior, n: int) -> Tensor:
    """n points, (n, latent): N(0, I) through the flow of a posterior, its context zero."""
    assert isinstance(posterior, FlowPosterior)
    context = torch.zeros(n, posterior.context_size, device=next(posterior.parameters()).device)
    return posterior.push(torch.randn(n, posterior.latent, device=context.device), context)[0]
