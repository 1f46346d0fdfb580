"""The pairs of networks that a VAE can choose from."""

from collections.abc import Sequence
from typing import Any, Literal

from genexp.nn.convolutions import ConvDecoder, ConvEncoder
from genexp.nn.mlp import Activation
from genexp.nn.perceptrons import MLPDecoder, MLPEncoder
from genexp.nn.principal import PrincipalComponents, PrincipalDecoder, PrincipalEncoder

NetworkName = Literal["mlp", "conv", "principal"]


def make_networks(
    name: NetworkName,
    shape: tuple[int, ...],
    latent: int,
    condition: int,
    *,
    encoder_widths: Sequence[int],
    decoder_widths: Sequence[int],
    activation: Activation,
    frequencies: int,
    frequency_scale: float,
    components: int,
    bounded: bool,
) -> tuple[Any, Any]:
    """Encoder, (x, c) → features, and decoder, (z, c) → (n, *shape), for conditions c (n, condition).

    `bounded`: whether the decoder's output are grey values in (0, 1), where its kind can see to that. Both have `initialise`,
    which looks at some examples; the encoder says how many `features` it gives.
    """
    if name == "mlp":
        decoder = MLPDecoder(shape, latent, decoder_widths, condition, activation, frequencies, frequency_scale)
        return MLPEncoder(shape, encoder_widths, condition, activation), decoder
    if name == "conv":
        return ConvEncoder(shape, encoder_widths, condition), ConvDecoder(shape, latent, decoder_widths, condition, bounded)
    principal = PrincipalComponents(shape, components)
    encoder = PrincipalEncoder(principal, encoder_widths, condition, activation)
    return encoder, PrincipalDecoder(principal, latent, decoder_widths, condition, activation)
