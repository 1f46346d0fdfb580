"""An autoregressive bijection of patches: each is moved by parameters that a transformer finds from those before it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genexp.bijections.base import Bijection, Transformer
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.nn.causal import CausalTransformer
from genexp.registry import Part


class PatchAutoregressive(Bijection):
    """z_t = T(v_t; c_t(v_1 … v_t−1)) of the patches v_t (patch² · channels numbers each) of a picture, row by row:

        ln |det ∂z/∂v| = Σ_t Σ_j ln T′(v_tj),

    as the Jacobian is block triangular, and diagonal within a patch. Every other layer takes the patches from the last to the
    first, and every other pair of layers has its grid moved by half a patch, so that borders between patches lie elsewhere.
    Data → noise takes one pass of the network, noise → data one place of it for each patch.

    Args:
        shape: (channels, height, width); x and z are (n, dim).
        patch: pixels a side.
        width, blocks, attention_heads: of the transformer.
        transformer: T, of each number.

    Raises:
        UserError: sides that are no multiples of a patch; heads that do not divide the width.

    Source: Zhai et al., Normalizing Flows are Capable Generative Models (2024).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        layer: int,
        *,
        patch: int,
        width: int,
        blocks: int,
        attention_heads: int,
        transformer: Part[Transformer],
    ) -> None:
        super().__init__()
        channels, height, wide = self.shape = shape
        if height % patch or wide % patch:
            raise UserError(f"model.patch={patch}: pictures of {height}×{wide} cannot be cut into such patches")
        if width % attention_heads:
            raise UserError(f"model.width={width} cannot be divided among model.attention_heads={attention_heads}")
        self.rows, self.columns, self.patch = height // patch, wide // patch, patch
        self.count, self.size = self.rows * self.columns, channels * patch**2
        self.backwards, self.moved = layer % 2 == 1, (layer // 2) % 2 * (patch // 2)
        self.transformer = transformer()
        self.embedding = nn.Linear(self.size, width)
        self.network = CausalTransformer(
            self.count, self.size * self.transformer.per_feature, width, blocks, attention_heads, 0.0
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v = self._patches(x)
        z, log_slope = self._transformed(v, self.network(self.embedding(v)))
        return self._picture(z), log_slope.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        z = self._patches(z)
        found: list[Tensor] = []
        log_det = z.new_zeros(len(z))
        one = self._in_turn(z)
        for place in range(self.count):
            v, log_slope = self._transformed(z[:, place], one(found), inverse=True)
            found.append(v)
            log_det = log_det + log_slope.sum(1)
        return self._picture(torch.stack(found, 1)), log_det

    def _in_turn(self, z: Tensor) -> Callable[[list[Tensor]], Tensor]:
        """What gives the parameters of the next patch from those before it; with derivatives without a cache, which has none."""
        if torch.is_grad_enabled():
            return lambda found: self.network(self.embedding(self._filled(z, found)))[:, len(found)]
        step = self.network.one_by_one(len(z))
        return lambda found: step(self.embedding(found[-1]) if found else None, len(found))

    def _filled(self, z: Tensor, found: list[Tensor]) -> Tensor:
        """Patches (n, count, size) of which some are found; the others do not matter."""
        return torch.cat([*(v[:, None] for v in found), torch.zeros_like(z[:, len(found) :])], 1)

    def _transformed(self, v: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """T of numbers (…, size) under raw (…, size · per_feature), and ln of its slopes."""
        with all_digits(v.device):  # the network may be bfloat16, the bijection not
            image, log_slope = self.transformer(
                v.flatten(1), raw.to(v.dtype).unflatten(-1, (self.size, -1)).flatten(1, -2), inverse
            )
        return image.view_as(v), log_slope.view_as(v)

    def _patches(self, x: Tensor) -> Tensor:
        """(n, dim) → (n, count, size), in this layer's order."""
        x = x.unflatten(1, self.shape).roll((-self.moved, -self.moved), (2, 3))
        cut = x.unflatten(3, (self.columns, self.patch)).unflatten(2, (self.rows, self.patch))
        v = cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        return v.flip(1) if self.backwards else v

    def _picture(self, v: Tensor) -> Tensor:
        """The other way round."""
        v = v.flip(1) if self.backwards else v
        channels = self.shape[0]
        x = v.view(len(v), self.rows, self.columns, channels, self.patch, self.patch).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(len(v), *self.shape).roll((self.moved, self.moved), (2, 3)).flatten(1)
