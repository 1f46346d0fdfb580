"""What the article took for samples, to be shown beside those of the prior."""

from PIL import Image

from genexp.article.latent import through_flow
from genexp.figures.images import sheet
from genexp.measures.record import picture
from genexp.pictures.latent import array
from genexp.subject import Subject


@picture(
    "prior_samples_through_flow",
    "What the article took for samples: noise through the posterior's flow",
    model={"latents", "posterior_flow"},
    data={"pictures"},
)
def samples_through_flow(subject: Subject) -> Image.Image | None:
    """Not of a conditional model."""
    if "classes" in subject.can:
        return None
    return sheet(array(subject.model.decode(through_flow(subject.model.posterior, 72))), 12, pixels=1100)
