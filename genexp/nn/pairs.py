"""What an encoder and a decoder are."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn


class Encoder(nn.Module):
    """Examples x (n, *shape) and a condition c (n, condition) → (n, features). `looks_up`: whether they are the number of
    something that is looked up, and have no gradient of x."""

    features: int
    looks_up: ClassVar[bool] = False

    def reduce(self, x: Tensor) -> Tensor | None:
        """All that this encoder sees of examples x, and its decoder's `squares` ask of them, as rows (n, …): it takes these in
        place of x. None of networks for which that is x itself.
        """
        return None

    def measure(self, x: Tensor) -> None:
        """Find in examples x what it cannot do without. Most encoders need nothing."""

    def initialise(self, x: Tensor) -> None:
        """Begin near what examples x say. Most encoders need not."""

    def linear(self) -> tuple[Tensor, int]:
        """Standard deviations of the whitened components among the features, and where these begin: of encoders that have any."""
        raise NotImplementedError


class Decoder(nn.Module):
    """Latents z (n, latent) and a condition c (n, condition) → (n, *shape)."""

    def squares(self, rows: Tensor, z: Tensor, c: Tensor) -> Tensor:
        """|x − decoder(z)|² of examples that the encoder has made `rows` of, (n, …), and z (k, n, latent), (k, n)."""
        raise NotImplementedError

    def affine(self) -> tuple[Tensor, Tensor] | None:
        """W (d, latent) and b (d,) of a decoder that is Wz + b without a condition; None of any other."""
        return None

    def initialise(self, x: Tensor, from_mean: Callable[[Tensor], Tensor]) -> None:
        """Begin at the mean of examples x, where that can be; `from_mean` gives the output that has a mean."""
