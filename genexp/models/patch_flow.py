"""`model=patch_flow`: a normalising flow of autoregressive transformers on patches of a picture.

Source: Zhai et al., Normalizing Flows are Capable Generative Models (2024). Its likelihoods are of pictures with Gaussian noise
or a bound by noise within the bins; here noise is uniform in each grey's bin, so that bits per dimension mean what they say.
"""

import math
from functools import partial
from typing import Annotated

from pydantic import Field

from genexp.bijections.base import Transformer, transformers
from genexp.bijections.bases import Normal
from genexp.bijections.dequantisation import Dequantisation, dequantisations
from genexp.bijections.patches import PatchAutoregressive
from genexp.bijections.preprocessing import Preprocessing, preprocessings
from genexp.data.base import DataSpec
from genexp.models.flow import Flow
from genexp.models.picture_flow import PictureFlow, picture_shape
from genexp.registry import Part, models
from genexp.settings import Width


@models.register("patch_flow")
def patch_flow(
    spec: DataSpec,
    *,
    depth: Annotated[int, Field(ge=1, le=64)] = 4,
    patch: Annotated[int, Field(ge=1, le=64)] = 4,
    width: Width = 96,
    blocks: Annotated[int, Field(ge=1, le=64)] = 2,
    attention_heads: Annotated[int, Field(ge=1, le=64)] = 4,
    transformer: Part[Transformer] = transformers.part("affine"),
    dequantisation: Part[Dequantisation] = dequantisations.part("uniform"),
    preprocessing: Part[Preprocessing] = preprocessings.part("equalise"),
) -> PictureFlow:
    r"""Maps of each patch by parameters that a causal transformer finds from the patches before it, in turn from the first to the
    last and from the last to the first.

    In short:
        A bijection between pictures and noise is learnt, patch after patch: a causal transformer finds the map of each patch
        from the patches before it, to and fro.

    Equation:
        \ln P(k) + D \ln L \ge \mathbb{E}_{u} \left[ \ln p_{\mathrm{base}}(z)
            + \ln \left| \det \frac{\partial z}{\partial y} \right| - \ln q(u | k) \right], \qquad y = (k + u)/L
        z_i = T(x_i; c_θ(x_{<i})), \quad i \text{ a patch}

    Objective:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}} \left[ \ln p_θ(y) - \ln q(u | k) \right]

    Args:
        depth: number of maps.
        patch: pixels a side of a patch.
        width, blocks, attention_heads: of each map's transformer.
        transformer: the map of each number.
        dequantisation: the noise that makes greys continuous.
        preprocessing: what greys go through first.

    Raises:
        UserError: no pictures of greys, or ones that cannot be cut into such patches.
    """
    shape = picture_shape(spec, "model=patch_flow")
    network = partial(PatchAutoregressive, shape, patch=patch, width=width, blocks=blocks, attention_heads=attention_heads)
    layers = [network(layer, transformer=transformer) for layer in range(depth)]
    size = math.prod(shape)
    return PictureFlow(spec, Flow(size, layers, Normal(size), False), dequantisation, preprocessing)
