"""`model=realnvp_image`: RealNVP on pictures, couplings by convolutions at several scales.

Source: Dinh et al., Density Estimation Using Real NVP (2017), section 3.6.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from genexp.bijections.base import Transformer, transformers
from genexp.bijections.dequantisation import Dequantisation, dequantisations
from genexp.bijections.multi_scale import MultiScale
from genexp.bijections.picture_base import PictureBijection, Shape
from genexp.bijections.picture_coupling import HiddenLayers, PictureCoupling
from genexp.bijections.picture_linear import PictureActNorm
from genexp.bijections.preprocessing import Preprocessing, preprocessings
from genexp.data.base import DataSpec
from genexp.models.picture_flow import PictureFlow, at_scales, picture_shape
from genexp.registry import Part, models
from genexp.settings import Width

Couplings = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=8)]


@models.register("realnvp_image")
def realnvp_image(
    spec: DataSpec,
    *,
    couplings: Couplings = (4, 8),
    width: Width = 48,
    hidden_layers: HiddenLayers = 1,
    transformer: Part[Transformer] = transformers.part("affine"),
    dequantisation: Part[Dequantisation] = dequantisations.part("uniform"),
    preprocessing: Part[Preprocessing] = preprocessings.part("logit"),
) -> PictureFlow:
    r"""At each scale: squeeze; couplings whose convolutions see half of the channels and move the other, in turn, after an
    activation normalisation each; and half of the channels is given out, which the last coupling has moved. Directly after a
    squeeze, half of the channels is one colour of the checkerboard.

    In short:
        A bijection between pictures and noise is learnt, by couplings whose convolutions see half of the channels and move
        the other, at several scales.

    Equation:
        \ln P(k) + D \ln L \ge \mathbb{E}_{u} \left[ \ln p_{\mathrm{base}}(z)
            + \ln \left| \det \frac{\partial z}{\partial y} \right| - \ln q(u | k) \right], \qquad y = (k + u)/L
        z_{\mathrm{moved}} = T(x_{\mathrm{moved}}; c_θ(x_{\mathrm{kept}})), \quad z_{\mathrm{kept}} = x_{\mathrm{kept}}

    Objective:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}} \left[ \ln p_θ(y) - \ln q(u | k) \right]

    Args:
        couplings: how many at each scale, the finest first; each scale halves the sides once more.
        width, hidden_layers: of the couplings' convolutions.
        transformer: the map of each number that moves.
        dequantisation: the noise that makes greys continuous.
        preprocessing: what greys go through first.

    Raises:
        UserError: no pictures of greys, or ones that cannot be halved so often.
    """
    shape = picture_shape(spec, "model=realnvp_image")

    def coupling(shape: Shape, layer: int) -> PictureCoupling:
        return PictureCoupling(shape, layer, width=width, hidden_layers=hidden_layers, transformer=transformer)

    def steps(shape: Shape, level: int) -> Sequence[PictureBijection]:
        pairs = ((PictureActNorm(shape, layer), coupling(shape, layer)) for layer in reversed(range(couplings[level])))
        return [step for pair in pairs for step in pair]

    def prior(shape: Shape, layer: int) -> PictureCoupling:
        return PictureCoupling(shape, layer, width=width, hidden_layers=0)

    bijection = MultiScale(shape, len(couplings), steps, prior)
    return at_scales(spec, bijection, dequantisation, preprocessing)
