"""A likelihood whose pixels are not independent given z: each also sees the few before it that lie near."""

from itertools import pairwise
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genexp.data.base import DataSpec, Kind
from genexp.errors import UserError
from genexp.latent.likelihoods import Bernoulli, likelihoods
from genexp.nn.windows import any_before, causal_places, patches, wavefronts
from genexp.settings import Width

AVERAGED = 16  # samples that E[x|z] is the mean of
_VALUES = 1_000_000  # of the hidden layer, computed at a time: they stay in the cache


@likelihoods.register("local_autoregressive")
class LocalAutoregressive(Bernoulli):
    """Zeros and ones, each with the decoder's logit, corrected by one small network that is the same at every pixel:

        ln p(x|z) = Σ_i [x_i l_i − ln(1 + e^l_i)],    l_i = raw_i(z) + g(x_near(i), raw_around(i)(z)),

    where near(i) are the pixels before i, in the order of rows, in a window around it; where all of them are zero, so is g, and
    need not be computed. around(i) is a window of the decoder's logits on all sides of i: what z says of where the stroke goes
    on. An exact likelihood. What strokes look like from near, g knows; z is left to say what and where they are. g begins as
    zero.

    Samples are drawn in wavefronts of pixels that do not see each other: only g runs, the decoder runs once. E[x|z] has no
    formula: it is the mean of 16 samples.

    Source: Chen et al., Variational Lossy Autoencoder (2017).

    Args:
        window: side of the window, odd: 7 has 24 pixels before the one in the middle.
        around: side of the window of the decoder's logits, odd; 1 is the pixel's own.
        width: units of a hidden layer.
        depth: hidden layers.

    Raises:
        UserError: data other than grey pictures made into zeros and ones; a window without a middle.
    """

    has_pairs = False
    independent = False
    kinds: ClassVar[tuple[Kind, ...]] = ("bits",)

    def __init__(
        self,
        spec: DataSpec,
        *,
        window: Annotated[int, Field(ge=3, le=31)] = 7,
        around: Annotated[int, Field(ge=1, le=31)] = 1,
        width: Width = 32,
        depth: Annotated[int, Field(ge=1, le=16)] = 1,
    ) -> None:
        super().__init__(spec)
        if len(spec.shape) != 3 or spec.shape[0] != 1:
            raise UserError("model/likelihood=local_autoregressive is of grey pictures", hint="model/likelihood=bernoulli")
        for name, side in (("window", window), ("around", around)):
            if side % 2 == 0:
                raise UserError(f"model.likelihood.{name}={side}: only an odd one has a pixel in its middle")
        self.window, self.around = window, around
        self.seen = len(causal_places(window))
        self.first = nn.Linear(self.seen + around**2, width)
        self.rest = nn.ModuleList(nn.Linear(*widths) for widths in pairwise([width] * depth))
        self.last = nn.Linear(width, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def _hint(self) -> str:
        return "dataset.binarise=dynamic, where the pictures are grey; else model/likelihood=bernoulli"

    def of_pixels(self, near: Tensor) -> Tensor:
        """What g makes of the pixels near(i), (m, seen), whatever z: (m, width)."""
        return F.linear(near, self.first.weight[:, : self.seen], self.first.bias)

    def correction(self, near: Tensor, said: Tensor) -> Tensor:
        """g, (m,), given what `of_pixels` made of the pixels, (m, width), and the decoder's logits around(i), (m, around²)."""
        h = torch.addmm(near, said.to(near), self.first.weight[:, self.seen :].T).relu_()
        for layer in self.rest:
            h = layer(h).relu_()
        return self.last(h)[:, 0].to(said)

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        kind = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else self.last.weight.dtype
        inked = any_before(x[:, 0], self.window).flatten().nonzero()[:, 0]  # of digits two pixels of five
        near = self.of_pixels(patches(x[:, 0].to(kind), inked, self.window, before=True))  # once for all draws of z
        draws = raw.to(self.last.weight).reshape(-1, *x.shape)
        together = max(1, _VALUES // (x.numel() * self.first.out_features))
        parts = [super(LocalAutoregressive, self).log_prob(x, self._logits(near, inked, few)) for few in draws.split(together)]
        return torch.cat(parts).view(raw.shape[: raw.dim() - x.dim() + 1])

    def _logits(self, near: Tensor, inked: Tensor, raw: Tensor) -> Tensor:
        """raw (k, n, 1, height, width), corrected at the pixels `inked` (m,) of the n pictures, which see near (m, width)."""
        flat = raw.flatten(1)
        places = (inked + flat.shape[1] * torch.arange(len(raw), device=inked.device)[:, None]).flatten()
        said = patches(raw.flatten(0, 2), places, self.around)
        more = self.correction(near if len(raw) == 1 else near.repeat(len(raw), 1), said)
        return flat.index_add(1, inked, more.view(len(raw), -1)).view_as(raw)

    @torch.no_grad()
    def sample(self, raw: Tensor) -> Tensor:
        flat = raw.to(self.last.weight).reshape(-1, *raw.shape[-2:])
        n, height, width = flat.shape
        reach, beside = self.window // 2, self.around // 2
        x = F.pad(torch.zeros_like(flat), (reach, reach, reach, 0)).permute(1, 2, 0).contiguous()  # a pixel's values together
        around = F.pad(flat, [beside] * 4).permute(1, 2, 0).contiguous()
        chance = torch.rand_like(flat)
        down, right = torch.tensor(causal_places(self.window)).T + reach
        across, along = torch.cartesian_prod(*[torch.arange(self.around)] * 2).T
        for rows, columns in wavefronts(height, width, self.window):
            seen = x[rows[:, None] + down, columns[:, None] + right].transpose(1, 2).flatten(0, 1)
            said = around[rows[:, None] + across, columns[:, None] + along].transpose(1, 2).flatten(0, 1)
            more = self.correction(self.of_pixels(seen), said) * seen.amax(1)
            logits = flat[:, rows, columns].T + more.view(len(rows), n)
            x[rows + reach, columns + reach] = (torch.sigmoid(logits) > chance[:, rows, columns].T).to(x)
        return x[reach:, reach : reach + width].permute(2, 0, 1).reshape(raw.shape)

    def mean(self, raw: Tensor) -> Tensor:
        """E[x|z] by samples."""
        return self.sample(raw.expand(AVERAGED, *raw.shape)).mean(0)

    def pairs(self, x: Tensor, raw: Tensor) -> Tensor:
        raise NotImplementedError  # has_pairs
