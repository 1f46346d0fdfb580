"""`model=vq_vae`: an autoencoder of pictures whose latents are symbols out of a codebook, on a grid a quarter as wide.

    k_ij(x) = argmin_k |h_ij(x) − e_k|,   x decoded from e_k:   loss = −E[ln p(x|k)] + β E|h − sg(e_k)|²,

the gradient passing e_k as if it were h. The codebook is no part of the gradient (see `genexp.latent.codebook`).

In its first steps the encoder moves far: the variance of h grows a thousandfold. Codes that were chosen before lie where nothing
is any more, and the few that are left are all that the encoder then learns to tell apart. So training begins without codes, as an
autoencoder; after `warmup` steps they are the k-means of h. And h is normalised over the batch (mean 0 and variance 1 in each of
its numbers), so that distances, and with them the commitment, mean the same all along.

Because k is a function of x, −ln p(x) ≤ −ln p(x|k(x)) − ln P(k(x)) for any distribution P of codes: a bound in nats. Here P is
what each place of the grid shows by itself in training; a model of the codes together makes it tighter.

Source: van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning (2017).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.codebook import Codebook
from genexp.latent.likelihoods import Likelihood, likelihoods
from genexp.machine.device import all_digits
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.settings import MOST_STEPS, Fraction, Weight, Width

PART = 512  # examples at a time
LARGEST = 100_000_000  # numbers in the table of P


class Residual(nn.Module):
    """h + Conv(ReLU(Conv(ReLU(h))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 1))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.net(h)


@models.register("vq_vae")
class VQVAE(GenerativeModel):
    r"""Codes (height/4, width/4) of pictures.

    In short:
        A codebook is learnt, and an encoder and a decoder whose latents are symbols out of it: pictures become short texts,
        of which another model can learn the probability.

    Equation:
        k_{ij}(x) = \mathrm{argmin}_k \| h_{ij}(x) - e_k \|, \qquad -\ln p(x) \le -\ln p_θ(x | k(x)) - \ln P(k(x))

    Objective:
        \mathcal{L} = -\mathbb{E}[\ln p_θ(x | k)] + β \, \mathbb{E} \| h - \mathrm{sg}(e_k) \|^2

    Args:
        codes: how many vectors there are, K.
        dim: numbers in each.
        width: channels of the convolutions.
        warmup: steps before there are codes.
        commitment: weight β of the term that keeps h near its code.
        decay: γ, of the running means that the codes are.
        likelihood: p(x|k).

    Raises:
        UserError: data that are no pictures whose sides are multiples of 4; values that the likelihood has no probability for.
    """

    log_p: Tensor
    trained_steps: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        codes: Annotated[int, Field(ge=2, le=65_536)] = 128,
        dim: Width = 16,
        width: Width = 64,
        warmup: Annotated[int, Field(ge=0, le=MOST_STEPS)] = 400,
        commitment: Weight = 0.25,
        decay: Fraction = 0.99,
        likelihood: Part[Likelihood] = likelihoods.part("bernoulli"),
    ) -> None:
        super().__init__()
        if len(spec.shape) != 3 or spec.shape[1] % 4 or spec.shape[2] % 4:
            what = "×".join(map(str, spec.shape))
            raise UserError(f"model=vq_vae needs pictures whose sides are multiples of 4, and not data of shape {what}")
        self.commitment, self.dim, self.symbols, self.warmup = commitment, dim, codes, warmup
        self.grid = (spec.shape[1] // 4, spec.shape[2] // 4)
        if self.grid[0] * self.grid[1] * codes > LARGEST:
            raise UserError(f"model.codes={codes}: too many for {self.grid[0]}×{self.grid[1]} places", hint="model.codes=128")
        self.likelihood = likelihood(spec)
        self.encoder = nn.Sequential(
            *(nn.Conv2d(spec.shape[0], width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 4, 2, 1)),
            *(Residual(width), Residual(width), nn.ReLU(), nn.Conv2d(width, dim, 1)),
            nn.BatchNorm2d(dim, affine=False),
        )
        self.decoder = nn.Sequential(
            *(nn.Conv2d(dim, width, 3, padding=1), Residual(width), Residual(width), nn.ReLU()),
            *(nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(width, spec.shape[0], 4, 2, 1)),
        )
        self.codebook = Codebook(codes, dim, decay)
        self.register_buffer("trained_steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("log_p", torch.zeros(*self.grid, codes).log_softmax(-1))

    @property
    def can(self) -> frozenset[Ability]:
        return frozenset({"sample", "codes"})

    # --- training --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """The codebook begins where the first examples lie."""
        self.likelihood.check(batch.x)
        self.codebook.begin(self._rows(self.encoder(batch.x[: 4 * PART])))

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x|k)] in nats per example, and β times the squared distance of a place to its code, summed over an example.

        Before there are codes −E[ln p(x|h)].
        """
        h = self.encoder(batch.x)
        if self.training:
            self.trained_steps += 1
            if self._warming_up:
                reconstruction = -self.likelihood.log_prob(batch.x, self.decoder(h)).mean()
                return {"loss": reconstruction, "reconstruction": reconstruction, "distance": torch.zeros_like(reconstruction)}
            if int(self.trained_steps) == self.warmup + 1 > 1:
                self.codebook.begin(self._rows(h.detach()))
        rows = self._rows(h)
        index = self.codebook.nearest(rows.detach())
        e = self._vectors(index.view(len(h), *self.grid))
        reconstruction = -self.likelihood.log_prob(batch.x, self.decoder(h + (e - h).detach())).mean()
        distance = (h - e).square().sum((1, 2, 3)).mean()
        if self.training:
            self.codebook.learn(rows.detach(), index)
        return {"loss": reconstruction + self.commitment * distance, "reconstruction": reconstruction, "distance": distance}

    @property
    def _warming_up(self) -> bool:
        return int(self.trained_steps) <= self.warmup

    @torch.no_grad()
    def conclude(self, batch: Batch) -> None:
        """ln P of each code at each place: how often training examples show it there, one more of each.

        After a training that ended before there were codes, these are now the k-means of h.
        """
        if self.warmup and self._warming_up:
            self.codebook.begin(self._rows(self.encoder(batch.x[: 4 * PART])))
        counts = torch.ones_like(self.log_p).flatten(0, 1)
        for few in batch.split(PART):
            index = self.codes(few.x).flatten(1)
            counts.scatter_add_(1, index.T, torch.ones_like(index.T, dtype=counts.dtype))
        self.log_p.copy_((counts / counts.sum(1, keepdim=True)).log().view_as(self.log_p))

    # --- the model -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def codes(self, x: Tensor) -> Tensor:
        """k(x), (n, height/4, width/4); the same, and ln p(x|k), whatever precision is asked for, so that bounds fit together."""
        with all_digits(x.device):
            return self.codebook.nearest(self._rows(self.encoder(x))).view(len(x), *self.grid)

    def decode_codes(self, index: Tensor) -> Tensor:
        """E[x|k] of codes (n, height/4, width/4), (n, *shape)."""
        return self.likelihood.mean(self.decoder(self._vectors(index)))

    @torch.no_grad()
    def log_likelihood(self, x: Tensor, index: Tensor) -> Tensor:
        """ln p(x|k), (n,), in nats."""
        with all_digits(x.device):
            return self.likelihood.log_prob(x, self.decoder(self._vectors(index)))

    def log_prior(self, index: Tensor) -> Tensor:
        """ln P(k), (n,), in nats."""
        return self.log_p.expand(len(index), *self.log_p.shape).gather(3, index[..., None]).sum((1, 2, 3))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Pictures of codes drawn from P, each place by itself: their means, of zeros and ones x itself; (n, *shape)."""
        index = torch.multinomial(self.log_p.flatten(0, 1).exp(), n, replacement=True).T.reshape(n, *self.grid)
        return self.likelihood.example(self.decoder(self._vectors(index)))

    def _rows(self, h: Tensor) -> Tensor:
        """(n, dim, height, width) → (n·height·width, dim)."""
        return h.float().permute(0, 2, 3, 1).reshape(-1, self.dim)

    def _vectors(self, index: Tensor) -> Tensor:
        """(n, height, width) → (n, dim, height, width)."""
        return self.codebook.vectors[index].permute(0, 3, 1, 2)
