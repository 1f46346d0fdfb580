"""A prior each of whose elements depends on those before it."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.autoregressive import Autoregressive, Layers
from genexp.bijections.base import Transformer, transformers
from genexp.bijections.bases import log_standard
from genexp.latent.base import Given, Latent, Prior, priors
from genexp.latent.priors import StandardNormal
from genexp.machine.device import all_digits
from genexp.registry import Part
from genexp.settings import Width


@priors.register("autoregressive")
class AutoregressivePrior(Prior):
    """A masked autoregressive flow of N(0, I): ln p(z) = Σ_i [ln N(u_i; 0, 1) + ln |∂u_i/∂z_i|], u_i = T(z_i; c_i(z_<i)).

    Likelihoods take one pass of each block, samples one for each element. Begins as N(0, I).
    Source: Chen et al., Variational Lossy Autoencoder (2017), for whose posterior this is what its inverse would be.

    Args:
        blocks: how many, in turn from the first element to the last and back.
        width, hidden_layers: of their masked networks.
        transformer: what is done to each element.
    """

    def __init__(
        self,
        latent: Latent,
        *,
        blocks: Annotated[int, Field(ge=1, le=64)] = 2,
        width: Width = 128,
        hidden_layers: Layers = 2,
        transformer: Part[Transformer] = transformers.part("affine", log_scale_bound=3.0),
    ) -> None:
        super().__init__()
        self.base = StandardNormal(latent)
        keys = {"width": width, "hidden_layers": hidden_layers, "transformer": transformer}
        self.blocks = nn.ModuleList(Autoregressive(latent.size, index, **keys) for index in range(blocks))  # type: ignore[arg-type]

    def log_prob(self, z: Tensor, given: Given | None = None) -> Tensor:
        flat, log_det = z.reshape(-1, z.shape[-1]), torch.zeros((), device=z.device)
        with all_digits(z.device):
            for block in self.blocks:
                flat, more = block(flat)
                log_det = log_det + more
            return (log_standard(flat) + log_det).view(z.shape[:-1])

    def sample(self, n: int, given: Given | None = None) -> Tensor:
        z = self.base.sample(n)
        for block in reversed(self.blocks):
            z, _ = block.inverse(z)  # type: ignore[operator]
        return z
