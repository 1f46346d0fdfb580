"""Pictures by a decoder, then warped by a smooth field of displacements: an object that turns is the same picture elsewhere."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.nn.pairs import Decoder

_WIDTH = 0.03  # standard deviation of each displacement before training, in halves of a picture: 1.4 pixels of 96


class Warped(Decoder):
    """What a `coarse` decoder gives of the first latents, l, read at displaced places that the last ones say, z₂:

        x(p) = l(p + f(p)),      f(u, v) = Σ_{i+j≤degree} θ_ij P_i(u) P_j(v),      θ = A z₂,

    P Legendre's polynomials, (u, v) in [−1, 1]², θ_ij a vector of two. Degree 0 moves a picture; 1 turns, stretches and shears
    it, too; more bends it. Between pixels l is linear, beyond the edge it goes on as the edge. A is learnt; it begins as 0.03·I.

    A new view of an object is no sum of the views that were seen, but it is nearly one of them warped. The field knows nothing
    of what it warps, so that any picture can be warped like any other.
    Sources: Jaderberg et al., Spatial Transformer Networks (2015); Shu et al., Deforming Autoencoders (2018).

    Shapes: (n, latent), (n, condition) → (n, channels, height, width).
    """

    polynomials: Tensor
    places: Tensor

    def __init__(self, coarse: Decoder, shape: tuple[int, ...], degree: int) -> None:
        super().__init__()
        self.coarse, self.size = coarse, field_size(degree)
        self.width = nn.Parameter(_WIDTH * torch.eye(self.size))
        self.register_buffer("polynomials", legendre_products(shape[1], shape[2], degree), persistent=False)
        places = F.affine_grid(torch.eye(2, 3)[None], [1, *shape], align_corners=False)
        self.register_buffer("places", places, persistent=False)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        picture = self.coarse(z[:, : -self.size], c)
        with all_digits(z.device):  # a place among 96 pixels needs more digits than bfloat16 has
            grid = self.places + self.field(z[:, -self.size :].to(self.width)).movedim(1, -1)
            return F.grid_sample(picture.to(grid), grid, padding_mode="border", align_corners=False)

    def field(self, z: Tensor) -> Tensor:
        """f at all pixels, to the right and down in halves of a picture: z₂ (n, size) → (n, 2, height, width)."""
        return torch.einsum("nck,kyx->ncyx", (z @ self.width).unflatten(1, (2, -1)), self.polynomials)

    def initialise(self, x: Tensor, from_mean: Callable[[Tensor], Tensor]) -> None:
        self.coarse.initialise(x, from_mean)


def field_size(degree: int) -> int:
    """How many numbers θ has: two for each product of polynomials."""
    return (degree + 1) * (degree + 2)


def check_warps(shape: tuple[int, ...], latent: int, degree: int) -> None:
    """UserError where examples are no pictures, or no latent is left for what is warped."""
    if len(shape) != 3:
        raise UserError("model/network=warped: the examples are no pictures", hint="model/network=principal")
    if latent <= field_size(degree):
        raise UserError(
            f"model.network.degree={degree}: the warp alone takes {field_size(degree)} latents of {latent}",
            hint=f"model.latent={2 * field_size(degree)}",
        )


def legendre_products(height: int, width: int, degree: int) -> Tensor:
    """P_i(u) P_j(v), i + j ≤ degree, at the midpoints of the pixels of [−1, 1]²: (products, height, width)."""
    across, down = legendre(width, degree), legendre(height, degree)
    products = [across[i] * down[j][:, None] for i in range(degree + 1) for j in range(degree + 1 - i)]
    return torch.stack(products).float()


def legendre(count: int, degree: int) -> list[Tensor]:
    """P_0 … P_degree at `count` midpoints of [−1, 1]: (n + 1) P_{n+1} = (2n + 1) u P_n − n P_{n−1}."""
    u = (2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1
    found = [torch.ones_like(u), u]
    for n in range(1, degree):
        found.append(((2 * n + 1) * u * found[n] - n * found[n - 1]) / (n + 1))
    return found[: degree + 1]
