"""`model=glow`: activation normalisation, invertible 1×1 convolution and affine coupling, over and over, at several scales.

Source: Kingma & Dhariwal, Glow: Generative Flow with Invertible 1×1 Convolutions (2018).
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from genexp.bijections.base import Transformer, transformers
from genexp.bijections.dequantisation import Dequantisation, dequantisations
from genexp.bijections.multi_scale import MultiScale
from genexp.bijections.picture_base import PictureBijection, Shape
from genexp.bijections.picture_coupling import HiddenLayers, PictureCoupling
from genexp.bijections.picture_linear import PictureActNorm, Pointwise
from genexp.bijections.preprocessing import Preprocessing, preprocessings
from genexp.data.base import DataSpec
from genexp.models.picture_flow import PictureFlow, at_scales, picture_shape
from genexp.registry import Part, models
from genexp.settings import Width

Couplings = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=8)]
SECOND_HALF = 0  # the layer of a coupling that moves the second half of the channels


@models.register("glow")
def glow(
    spec: DataSpec,
    *,
    couplings: Couplings = (4, 8),
    width: Width = 48,
    hidden_layers: HiddenLayers = 1,
    transformer: Part[Transformer] = transformers.part("affine"),
    dequantisation: Part[Dequantisation] = dequantisations.part("uniform"),
    preprocessing: Part[Preprocessing] = preprocessings.part("logit"),
) -> PictureFlow:
    r"""At each scale: squeeze; steps, each an activation normalisation, a 1×1 convolution that mixes the channels and a
    coupling of their second half; and half of the channels is given out, less what the other half tells of it.

    In short:
        A bijection between pictures and noise is learnt, by convolutions at several scales: exact likelihoods of greys that
        noise has made continuous, and a latent of the picture's own size.

    Equation:
        \ln P(k) + D \ln L \ge \mathbb{E}_{u} \left[ \ln p_{\mathrm{base}}(z)
            + \ln \left| \det \frac{\partial z}{\partial y} \right| - \ln q(u | k) \right], \qquad y = (k + u)/L
        z_{\mathrm{moved}} = T(x_{\mathrm{moved}}; c_θ(x_{\mathrm{kept}})), \qquad \text{1×1 convolution: } z = W x, \quad
            \ln \left| \det J \right| = h w \, \ln \left| \det W \right|

    Objective:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}} \left[ \ln p_θ(y) - \ln q(u | k) \right]

    Args:
        couplings: how many steps at each scale, the finest first; each scale halves the sides once more.
        width, hidden_layers: of the couplings' convolutions.
        transformer: the map of each number that moves.
        dequantisation: the noise that makes greys continuous.
        preprocessing: what greys go through first.

    Raises:
        UserError: no pictures of greys, or ones that cannot be halved so often.
    """
    shape = picture_shape(spec, "model=glow")

    def steps(shape: Shape, level: int) -> Sequence[PictureBijection]:
        found: list[PictureBijection] = []
        for layer in range(couplings[level]):
            moves = PictureCoupling(shape, SECOND_HALF, width=width, hidden_layers=hidden_layers, transformer=transformer)
            found += [PictureActNorm(shape, layer), Pointwise(shape, layer), moves]
        return found

    def prior(shape: Shape, layer: int) -> PictureCoupling:
        return PictureCoupling(shape, layer, width=width, hidden_layers=0)

    return at_scales(spec, MultiScale(shape, len(couplings), steps, prior), dequantisation, preprocessing)
