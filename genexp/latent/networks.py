"""Encoder and decoder, in pairs that go together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from genexp.errors import UserError
from genexp.latent.base import Posterior
from genexp.nn.convolutions import ConvDecoder, ConvEncoder
from genexp.nn.exemplars import ExemplarDecoder, ExemplarEncoder, Exemplars, check_exemplars
from genexp.nn.linear import LinearDecoder, LinearEncoder
from genexp.nn.mlp import Activation
from genexp.nn.pairs import Decoder, Encoder
from genexp.nn.perceptrons import MLPDecoder, MLPEncoder, Widths
from genexp.nn.principal import PrincipalComponents, PrincipalDecoder, PrincipalEncoder
from genexp.nn.refined import Refined
from genexp.nn.warped import Warped, check_warps, field_size
from genexp.registry import Registry
from genexp.settings import Scale, Width


@dataclass(frozen=True)
class Sizes:
    """What networks are told: the shape of an example, the dimensions of z, how many columns of a condition both see, and
    whether what the decoder gives are logits: else it is the mean of x itself.
    """

    shape: tuple[int, ...]
    latent: int
    condition: int
    logits: bool


@dataclass(frozen=True)
class Networks:
    """Encoder and decoder.

    Told when built: `Sizes`. `initialisation` of the weights: `random`; `mean`: decoding the mean example, with
    narrow posteriors; `linear`: what `encoder.linear()` says of the posterior, too; `told`: likewise, but the first latent's
    μ and ln σ² are the first two features themselves.
    """

    encoder: Encoder
    decoder: Decoder
    initialisation: Literal["random", "mean", "linear", "told"] = "mean"

    def initialise(self, x: Tensor, from_mean: Callable[[Tensor], Tensor], posterior: Posterior) -> None:
        """Look once at examples x; `from_mean` gives the decoder output that has a mean."""
        self.encoder.measure(x)
        if self.initialisation != "random":
            self.encoder.initialise(x)
            self.decoder.initialise(x, from_mean)
            posterior.start_narrow()
        if self.initialisation == "linear":
            posterior.start_linear(*self.encoder.linear())
        if self.initialisation == "told":
            posterior.start_told()


networks = Registry("network", "genexp.latent", Networks)

Initialisation = Literal["random", "mean"]


@networks.register("mlp")
def mlp(
    sizes: Sizes,
    *,
    encoder_widths: Widths = (512, 512),
    decoder_widths: Widths = (512, 512),
    activation: Activation = "silu",
    residual: bool = False,
    frequencies: Annotated[int, Field(ge=0, le=65_536)] = 0,
    frequency_scale: Scale = 1.0,
    initialisation: Initialisation = "mean",
) -> Networks:
    """Fully connected networks.

    Args:
        encoder_widths, decoder_widths, activation: of the hidden layers.
        residual: whether each hidden layer as wide as the one before it adds to that: much of x and z then arrives at once,
            where small random weights let little through.
        frequencies, frequency_scale: of the Fourier features of z that the decoder also sees: their number, 0 is none;
            and the standard deviation of their frequencies in cycles per unit.
        initialisation: `random`; or `mean`, decoding the mean example, with narrow posteriors.
    """
    shape, latent, condition = sizes.shape, sizes.latent, sizes.condition
    decoder = MLPDecoder(shape, latent, decoder_widths, condition, activation, frequencies, frequency_scale, residual=residual)
    return Networks(MLPEncoder(shape, encoder_widths, condition, activation, residual), decoder, initialisation)


@networks.register("refined")
def refined(
    sizes: Sizes,
    *,
    encoder_widths: Widths = (512, 512),
    decoder_widths: Widths = (512, 512),
    activation: Activation = "silu",
    residual: bool = True,
    block: Annotated[int, Field(ge=1, le=64)] = 4,
    channels: Width = 32,
    initialisation: Initialisation = "mean",
) -> Networks:
    """Fully connected networks, and two 3×3 convolutions that refine the decoder's pictures.

    Args:
        encoder_widths, decoder_widths, activation: of the hidden layers.
        residual: whether each hidden layer as wide as the one before it adds to that.
        block: pixels a side of the blocks that the convolutions see as pixels.
        channels: between the two convolutions.
        initialisation: `random`; or `mean`, decoding the mean example, with narrow posteriors.

    Raises:
        UserError: examples that are no pictures, or whose sides are no multiples of `block`.
    """
    shape, latent, condition = sizes.shape, sizes.latent, sizes.condition
    coarse = MLPDecoder(shape, latent, decoder_widths, condition, activation, residual=residual)
    encoder = MLPEncoder(shape, encoder_widths, condition, activation, residual)
    return Networks(encoder, Refined(coarse, shape, block, channels, activation), initialisation)


@networks.register("linear")
def linear(sizes: Sizes, *, initialisation: Initialisation = "mean") -> Networks:
    """No hidden layers: with model/likelihood=gaussian the linear VAE, whose optimum is probabilistic PCA.

    Args:
        initialisation: `random`; or `mean`, decoding the mean example, with narrow posteriors.
    """
    decoder = LinearDecoder(sizes.shape, sizes.latent, sizes.condition)
    return Networks(LinearEncoder(sizes.shape, sizes.condition), decoder, initialisation)


@networks.register("conv")
def conv(
    sizes: Sizes,
    *,
    encoder_widths: Widths = (32, 64, 128, 256, 512),
    decoder_widths: Widths = (512, 256, 128, 64, 32),
    initialisation: Initialisation = "mean",
) -> Networks:
    """Convolutions, for square pictures: every layer halves the side, or doubles it.

    Args:
        encoder_widths, decoder_widths: channels.
        initialisation: `random`; or `mean`, decoding the mean colour, with narrow posteriors.
    """
    encoder = ConvEncoder(sizes.shape, encoder_widths, sizes.condition)
    decoder = ConvDecoder(sizes.shape, sizes.latent, decoder_widths, sizes.condition, bounded=not sizes.logits)
    return Networks(encoder, decoder, initialisation)


@networks.register("principal")
def principal(
    sizes: Sizes,
    *,
    components: Width = 512,
    encoder_widths: Widths = (512, 512),
    decoder_widths: Widths = (512, 512),
    activation: Activation = "silu",
    initialisation: Literal["random", "mean", "linear"] = "mean",
) -> Networks:
    """Fully connected networks among the principal components of the pictures, which are measured before training.

    Args:
        components: how many.
        encoder_widths, decoder_widths, activation: of the hidden layers.
        initialisation: `random`; `mean`, with narrow posteriors; or `linear`: probabilistic PCA.

    Raises:
        UserError: a likelihood that wants logits; more components than values; `linear` with fewer components than latents.
    """
    if sizes.logits:
        raise UserError("model/network=principal decodes values, not logits", hint="model/likelihood=gaussian")
    if initialisation == "linear" and sizes.latent > components:
        raise UserError(f"model.network.initialisation=linear: fewer components than latents ({sizes.latent})")
    found = PrincipalComponents(sizes.shape, components)
    encoder = PrincipalEncoder(found, encoder_widths, sizes.condition, activation)
    return Networks(encoder, PrincipalDecoder(found, sizes.latent, decoder_widths, sizes.condition, activation), initialisation)


@networks.register("warped")
def warped(
    sizes: Sizes,
    *,
    components: Width = 512,
    encoder_widths: Widths = (512, 512),
    decoder_widths: Widths = (512, 512),
    activation: Activation = "silu",
    degree: Annotated[int, Field(ge=0, le=12)] = 3,
    initialisation: Initialisation = "mean",
) -> Networks:
    """Fully connected networks among the principal components, and a smooth warp of the pictures that they draw.

    The last (degree + 1)(degree + 2) latents are the warp's, the others the picture's.

    Args:
        components: how many.
        encoder_widths, decoder_widths, activation: of the hidden layers.
        degree: of the field of displacements, polynomials: 0 moves, 1 turns, stretches and shears, more bends.
        initialisation: `random`; or `mean`, with narrow posteriors.

    Raises:
        UserError: a likelihood that wants logits; more components than values; examples that are no pictures; no latents left.
    """
    if sizes.logits:
        raise UserError("model/network=warped decodes values, not logits", hint="model/likelihood=gaussian")
    check_warps(sizes.shape, sizes.latent, degree)
    found = PrincipalComponents(sizes.shape, components)
    encoder = PrincipalEncoder(found, encoder_widths, sizes.condition, activation, rows=False)
    coarse = PrincipalDecoder(found, sizes.latent - field_size(degree), decoder_widths, sizes.condition, activation)
    return Networks(encoder, Warped(coarse, sizes.shape, degree), initialisation)


@networks.register("exemplars")
def exemplars(
    sizes: Sizes,
    *,
    count: Width = 1024,
    apart: Annotated[int, Field(ge=0, le=65_536)] = 12,
    degree: Annotated[int, Field(ge=0, le=12)] = 3,
) -> Networks:
    """A training picture, which the first latent says, and a smooth warp of it, by (degree + 1)(degree + 2) latents.

    Args:
        count: training pictures that are kept.
        apart: how many of them, the most like a training picture, itself among them, are passed over in training.
        degree: of the field of displacements, polynomials: 0 moves, 1 turns, stretches and shears, more bends.

    Raises:
        UserError: a likelihood that wants logits; examples that are no pictures; too few latents; classes that are given.
    """
    if sizes.logits:
        raise UserError("model/network=exemplars decodes values, not logits", hint="model/likelihood=gaussian")
    check_exemplars(sizes.shape, sizes.condition)
    if sizes.latent != field_size(degree) + 1:
        raise UserError(
            f"model/network=exemplars: {field_size(degree)} latents warp, and one says which picture",
            hint=f"model.latent={field_size(degree) + 1}",
        )
    found = Exemplars(sizes.shape, count)
    return Networks(ExemplarEncoder(found, apart), Warped(ExemplarDecoder(found), sizes.shape, degree), "told")
