"""`model=pixel_flow`: an autoregressive flow over the pixels of a picture, by one small network that all pixels share."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genexp.autoregressive.base import Head, Heuristic, heads, heuristics
from genexp.bijections.bases import Normal
from genexp.bijections.dequantisation import greys
from genexp.capabilities import Ability
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.autoregressive import Autoregressive, Step, whole_numbers
from genexp.models.base import Terms
from genexp.nn.neighbourhood import Neighbourhood, Places, SharedNetwork
from genexp.registry import Part, models
from genexp.settings import Width

BRIGHT = 250 / 255
Share = Annotated[float, Field(gt=0, lt=0.5)]
FEATURES = 3  # of each number
TAIL = 1e-12  # of probability, at either end: no z is further out
PICTURES = 32  # whose tables are held at once
AT_ONCE = 16_384  # numbers that go through the network together, of whole pictures


@models.register("pixel_flow")
class PixelFlow(Autoregressive):
    r"""z_i = Φ⁻¹(F(y_i | y_<i)), z ~ N(0, I): each number goes through its own CDF given those before it, row by row.

        y = (k + u)/K, u ~ U[0, 1),   F(y) = Σ_{j<k} P(j) + u P(k),   ln p(y) = Σ_i ln P(k_i) + D ln K

    P(k | y_<i) is what the head gives, K the number of greys and D that of an example's numbers. With noise that is uniform, the
    best density given what was before is constant in each grey's bin, K P(k): so F is linear there, nothing is lost against any
    other autoregressive flow, ln p(y) does not depend on u, and ln P(k), which `log_prob` is, is its exact value and no bound.
    The Jacobian is triangular: its diagonal is K P(k)/N(z).

    The parameters of P come from one network that all pixels share, which sees a window of what was before, the means of what is
    farther, and where it is. So each pixel of each picture is an example to learn from, and a step looks at some of them only:

        loss = Σ_s N_s/n · mean of −ln P over the pixels drawn among the N_s of stratum s (without bias),

    where more are drawn among pixels beside something, which have most of the loss, than among those of an empty background.
    Sources: Papamakarios et al., Normalizing Flows for Probabilistic Modeling and Inference (2021), section 3.1; Theis et al.,
    Mixtures of Conditional Gaussian Scale Mixtures Applied to Multiscale Image Representations (2012), for one model of all.

    In short:
        The distribution of each pixel given those before it is learnt, by one small network that all pixels share; sent
        through its own distribution function each pixel becomes noise: an autoregressive flow with an exact likelihood.

    Equation:
        z_i = Φ^{-1}(F(y_i | y_{<i})), \qquad F(y) = \sum_{j<k} P(j) + u P(k), \qquad y = (k + u)/K
        \ln p(y) = \sum_i \ln P(k_i | y_{<i}) + D \ln K

    Objective:
        \mathcal{L} = \sum_s \frac{N_s}{n} \left\langle -\ln P(k_i | y_{<i}) \right\rangle_{i \in s} \quad
            \text{over some of the pixels of each stratum } s

    Args:
        width, depth: of the network, and how many blocks it has.
        radius: rows above, and pixels to each side, of the window that a pixel sees.
        block: pixels a side of the blocks that it is told the mean of; 0: it is told of its window only.
        pixels: numbers that a step of training looks at, of all in a batch.
        near: the share of them which are beside nothing, but have something in their window.
        quiet: the share of them whose window is empty.
        head: p of one number given its parameters.
        heuristic: how samples are drawn.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Width = 256,
        depth: Annotated[int, Field(ge=0, le=64)] = 2,
        radius: Annotated[int, Field(ge=1, le=32)] = 6,
        block: Annotated[int, Field(ge=0, le=32)] = 4,
        pixels: Annotated[int, Field(ge=1, le=2**20)] = 4_096,
        near: Share = 0.25,
        quiet: Share = 0.1,
        head: Part[Head] = heads.part("categorical"),
        heuristic: Part[Heuristic] = heuristics.part("none"),
    ) -> None:
        levels = whole_numbers(spec, "model=pixel_flow")
        super().__init__(spec, head, heuristic)
        if len(spec.shape) != 3:
            raise UserError("model=pixel_flow learns pictures", hint="genexp list models --data NAME")
        self.levels, self.base = levels, Normal(self.dim)
        channels, height, wide = self.pixel_shape = (spec.shape[0], spec.shape[1], spec.shape[2])
        self.order.copy_(torch.arange(self.dim).view(channels, height * wide).T.flatten())
        self.pixels, self.near, self.quiet = pixels, near, quiet
        self.neighbourhood = Neighbourhood(self.pixel_shape, FEATURES, radius, block)
        self.network = SharedNetwork(self.neighbourhood.size, height * wide, channels, width, depth, self.head.outputs)

    cached = False  # a step is the network at one place: there is nothing to save, and all places at every step are no rival

    @property
    def can(self) -> frozenset[Ability]:
        return super().can | {"reversible"}

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """The network begins with the frequencies that all numbers have together."""
        super().initialise(batch)
        frequencies = self.head.marginals(batch.x.flatten()[:, None])
        if frequencies is not None:
            self.network.last.bias.copy_(frequencies[0])

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)] in nats per example, estimated without bias from `pixels` numbers of the batch."""
        x = batch.x.flatten(1)[:, self.order]
        if not self.training or x.numel() <= self.pixels:
            return super().loss(batch)
        strata = self._strata(x)
        drawn = [among[torch.randint(len(among), (count,), device=x.device)] for among, count in strata]
        index = torch.cat(drawn)
        raw = self._raw(self.features(x), self._places(index))
        nats = -self.head.log_prob(x.flatten()[index], raw)
        parts = zip(strata, nats.split([count for _, count in strata]), strict=True)
        return {"loss": torch.stack([len(among) / len(x) * part.mean() for (among, _), part in parts]).sum()}

    def _strata(self, x: Tensor) -> list[tuple[Tensor, int]]:
        """Numbers by their index in x.flatten(), and how many of a step are drawn among them: those beside something (to the
        left or above is a pixel that is not black), those that have something in their window, those that have nothing.
        """
        channels, height, wide = self.pixel_shape
        grey = x.unflatten(1, (height, wide, channels)).amax(-1)[:, None]
        beside, inside = (self._seen(grey, reach) for reach in (1, self.neighbourhood.radius))
        kinds = [beside, inside & ~beside, ~inside]
        shares = [1 - self.near - self.quiet, self.near, self.quiet]
        found = [kind.flatten().repeat_interleave(channels).nonzero()[:, 0] for kind in kinds]
        there = [(some, share) for some, share in zip(found, shares, strict=True) if len(some)]
        whole = sum(share for _, share in there)
        return [(some, max(1, round(share / whole * self.pixels))) for some, share in there]

    def _seen(self, grey: Tensor, reach: int) -> Tensor:
        """Whether some pixel before each one, `reach` away at most, is not black, (n, height, width)."""
        some = F.pad((grey > 0).to(grey), (reach, reach, reach, 0))
        above = F.max_pool2d(F.max_pool2d(some[:, :, :-1], (1, 2 * reach + 1), 1), (reach, 1), 1)
        left = F.max_pool2d(some[:, :, reach:, : -reach - 1], (1, reach), 1)
        return torch.maximum(above, left)[:, 0] > 0

    # --- the bijection ---------------------------------------------------------------------------------------

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures → z (n, dim), by way of noise that is drawn anew, and ln |det ∂z/∂y| = Σ_i ln K P(k_i) − ln N(z_i), (n,)."""
        k, u = self.head.number(x.flatten(1)[:, self.order]), self.noise(x).flatten(1)[:, self.order]
        features = self.features(self.head.value(k).to(u))
        parts = zip(k.split(PICTURES), u.split(PICTURES), features.split(PICTURES), strict=True)
        found = [self._to_noise(k, u, self.head.log_table(self.parameters_of(seen))) for k, u, seen in parts]
        z, log_slope = (torch.cat(each) for each in zip(*found, strict=True))
        return self.in_place(z).flatten(1), log_slope.sum(1)

    def _to_noise(self, k: Tensor, u: Tensor, log_table: Tensor) -> tuple[Tensor, Tensor]:
        """z = Φ⁻¹(F(k − 1) + u P(k)) and ln of its slope, (…), in the digits of u; inside in float64, which Φ⁻¹ near 1 needs."""
        log_p = log_table.double().log_softmax(-1)
        below, own = (each.gather(-1, k[..., None])[..., 0] for each in (_below(log_p.exp()), log_p))
        z = torch.special.ndtri((below + u * own.exp()).clamp(TAIL, 1 - TAIL))
        slope = math.log(self.levels) + own + 0.5 * z.square() + 0.5 * math.log(2 * math.pi)
        return z.to(u), slope.to(u)

    @torch.no_grad()
    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, dim) → pictures with noise y = (k + u)/K, (n, *shape), and ln |det ∂y/∂z|: one number after another, by the
        inverse of each CDF.
        """
        z = z[:, self.order]
        y, seen, log_slope = torch.zeros_like(z), torch.zeros_like(z), torch.zeros_like(z)
        step = self.step(len(z))
        for i in range(self.dim):
            log_table = self.head.log_table(step(seen, i))
            p = log_table.double().softmax(-1)
            share, below = torch.special.ndtr(z[:, i : i + 1].double()), _below(p)
            k = (below <= share).sum(-1, keepdim=True).clamp(1, self.levels) - 1
            u = ((share - below.gather(-1, k)) / p.gather(-1, k)).clamp(0, 1)[:, 0]
            k = k[:, 0]
            y[:, i], seen[:, i] = ((k + u) / self.levels).to(z), self.head.value(k).to(z)
            log_slope[:, i] = self._to_noise(k, u.to(z), log_table)[1]
        return self.in_place(y), -log_slope.sum(1)

    def noise(self, x: Tensor) -> Tensor:
        """u ~ U[0, 1), (n, *shape): what makes greys continuous."""
        return torch.rand(x.shape, dtype=self.network.place.dtype, device=x.device)

    def sample_base(self, n: int) -> Tensor:
        return self.base.sample(n)

    def pictures(self, z: Tensor) -> Tensor:
        """z (n, dim) → pictures of greys, (n, *shape)."""
        return greys(self.inverse(z)[0], self.levels)

    # --- the network -----------------------------------------------------------------------------------------

    def features(self, x: Tensor) -> Tensor:
        """Its grey, whether it is not black, and whether it is nearly white: a black pixel is like what is outside."""
        return torch.stack([x, (x > 0).to(x), (x >= BRIGHT).to(x)], dim=2)

    def parameters_of(self, features: Tensor) -> Tensor:
        few = max(1, AT_ONCE // self.dim)
        found = []
        for part in features.split(few):
            index = torch.arange(len(part) * self.dim, device=part.device)
            found.append(self._raw(part, self._places(index)).unflatten(0, (len(part), self.dim)))
        return torch.cat(found)

    def step(self, n: int) -> Step:
        channels, _, wide = self.pixel_shape
        radius, weight = self.neighbourhood.radius, self.network.first.weight
        features = weight.new_zeros(n, self.dim, FEATURES)
        padded, summary = self.neighbourhood.padded(features), self.neighbourhood.summary(features)
        picture = torch.arange(n, device=weight.device)

        def one(x: Tensor, i: int) -> Tensor:
            nonlocal summary
            if i:
                features[:, i - 1 : i] = new = self.features(x[:, i - 1 : i].to(weight))
                pixel, channel = divmod(i - 1, channels)
                row, column = divmod(pixel, wide)
                here = slice(channel * FEATURES, (channel + 1) * FEATURES)
                padded[:, radius + row, radius + column, here] = new[:, 0]
            if i % (wide * channels) == 0:  # a summary is of the rows above
                summary = self.neighbourhood.summary(features)
            places = self._places(picture * self.dim + i)
            return self._told(self.neighbourhood.gather(padded, summary, places), places)

        return one

    def _places(self, index: Tensor) -> Places:
        channels, _, wide = self.pixel_shape
        picture, place = index // self.dim, index % self.dim
        pixel = place // channels
        return Places(picture, pixel // wide, pixel % wide, place % channels)

    def _raw(self, features: Tensor, places: Places) -> Tensor:
        return self._told(self.neighbourhood.at(features, places), places)

    def _told(self, told: Tensor, places: Places) -> Tensor:
        return self.network(told, places.row * self.pixel_shape[2] + places.column, places.channel)


def _below(p: Tensor) -> Tensor:
    """Probabilities (…, levels) → Σ_{j<k} p_j of each k."""
    return p.cumsum(-1) - p
