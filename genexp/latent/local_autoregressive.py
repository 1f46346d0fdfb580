"""A likelihood whose pixels are not independent given z: each also sees the few before it that lie near."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genexp.data.base import DataSpec
from genexp.errors import UserError
from genexp.latent.likelihoods import Bernoulli, likelihoods
from genexp.nn.windows import causal_places, causal_windows, wavefronts
from genexp.settings import Width

AVERAGED = 16  # samples that E[x|z] is the mean of
_VALUES = 12_000_000  # of the hidden layer, held at a time


@likelihoods.register("local_autoregressive")
class LocalAutoregressive(Bernoulli):
    """Zeros and ones, each with the decoder's logit, corrected by one small network that is the same at every pixel:

        ln p(x|z) = Σ_i [x_i l_i − ln(1 + e^l_i)],    l_i = raw_i(z) + g(x_near(i), raw_i(z)),

    where near(i) are the pixels before i, in the order of rows, in a window around it; where all of them are zero, so is g, and
    need not be computed. An exact likelihood. What strokes look like from near, g knows; z is left to say what and where they
    are. g has one hidden layer and begins as zero.

    Samples are drawn in wavefronts of pixels that do not see each other: only g runs, the decoder runs once. E[x|z] has no
    formula: it is the mean of 16 samples.

    Source: Chen et al., Variational Lossy Autoencoder (2017).

    Args:
        window: side of the window, odd: 7 has 24 pixels before the one in the middle.
        width: units of the hidden layer.

    Raises:
        UserError: data other than grey pictures made into zeros and ones; a window without a middle.
    """

    has_pairs = False
    independent = False
    kinds = ("bits",)  # type: ignore[assignment]

    def __init__(self, spec: DataSpec, *, window: Annotated[int, Field(ge=3, le=31)] = 7, width: Width = 32) -> None:
        super().__init__(spec)
        if len(spec.shape) != 3 or spec.shape[0] != 1:
            raise UserError("model/likelihood=local_autoregressive is of grey pictures", hint="model/likelihood=bernoulli")
        if window % 2 == 0:
            raise UserError(f"model.likelihood.window={window}: only an odd one has a pixel in its middle")
        self.window = window
        self.first = nn.Linear(len(causal_places(window)) + 1, width)
        self.last = nn.Linear(width, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def _hint(self) -> str:
        return "dataset.binarise=dynamic, where the pictures are grey; else model/likelihood=bernoulli"

    def correction(self, near: Tensor, raw: Tensor) -> Tensor:
        """g of pixels near(i) (places, n) and the decoder's logits (n,), (n,). A column for each pixel is fastest."""
        seen = torch.cat([near, raw[None].to(near)])
        hidden = F.relu(torch.addmm(self.first.bias[:, None], self.first.weight, seen))
        return (self.last.weight @ hidden)[0].to(raw) + self.last.bias

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        kind = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else self.first.weight.dtype
        near = causal_windows(x[:, 0].to(kind), self.window).flatten(1)
        inked = (near.amax(0) > 0).nonzero()[:, 0]  # of digits two pixels of five
        near = near.index_select(1, inked)
        draws = raw.to(self.first.weight).reshape(-1, *x.shape)
        together = max(1, _VALUES // (x.numel() * self.first.out_features))
        parts = [super(LocalAutoregressive, self).log_prob(x, self._logits(near, inked, few)) for few in draws.split(together)]
        return torch.cat(parts).view(raw.shape[: raw.dim() - x.dim() + 1])

    def _logits(self, near: Tensor, inked: Tensor, raw: Tensor) -> Tensor:
        """raw (k, n, 1, height, width), corrected at the pixels `inked` (m,) of the n pictures, which see near (places, m)."""
        flat = raw.flatten(1)
        more = self.correction(near.repeat(1, len(raw)), flat.index_select(1, inked).flatten())
        return flat.index_add(1, inked, more.view(len(raw), -1)).view_as(raw)

    @torch.no_grad()
    def sample(self, raw: Tensor) -> Tensor:
        flat = raw.to(self.first.weight).reshape(-1, *raw.shape[-2:]).permute(1, 2, 0).contiguous()  # a pixel's values together
        reach, (height, width, _) = self.window // 2, flat.shape
        x = F.pad(torch.zeros_like(flat), (0, 0, reach, reach, reach, 0))
        chance = torch.rand_like(flat)
        down, right = (torch.tensor(place)[:, None] + reach for place in zip(*causal_places(self.window), strict=True))
        for rows, columns in wavefronts(height, width, self.window):
            seen, logits = x[rows + down, columns + right].flatten(1), flat[rows, columns].flatten()
            logits = logits + self.correction(seen, logits) * seen.amax(0)
            x[rows + reach, columns + reach] = (chance[rows, columns] < torch.sigmoid(logits).view(len(rows), -1)).to(x)
        return x[reach:, reach : reach + width].permute(2, 0, 1).reshape(raw.shape)

    def mean(self, raw: Tensor) -> Tensor:
        """E[x|z] by samples."""
        return self.sample(raw.expand(AVERAGED, *raw.shape)).mean(0)

    def pairs(self, x: Tensor, raw: Tensor) -> Tensor:
        raise NotImplementedError  # has_pairs
