"""Pictures of generated pictures."""

from PIL import Image

from genexp.figures.images import sheet
from genexp.latent.seminar import through_flow
from genexp.measures.record import picture
from genexp.pictures.latent import array
from genexp.subject import Subject


@picture("samples", "Samples", lead=0, data={"pictures"})
def samples(subject: Subject) -> Image.Image:
    """Sixteen of them."""
    return sheet(subject.samples[:16].numpy(), 4, pixels=600)


@picture("prior_samples", "New pictures, from the prior", lead=1, data={"pictures"})
def prior_samples(subject: Subject) -> Image.Image:
    """As many as are seen at a glance."""
    return sheet(subject.samples[:72].numpy(), 12, pixels=1100)


@picture(
    "prior_samples_through_flow",
    "What the article took for samples: noise through the posterior's flow",
    model={"latents", "through_flow"},
    data={"pictures"},
)
def samples_through_flow(subject: Subject) -> Image.Image | None:
    """To be shown beside the samples of the prior; not of a conditional model."""
    if "classes" in subject.can:
        return None
    decoded = subject.model.decode(through_flow(subject.model.posterior, 72))
    return sheet(array(decoded), 12, pixels=1100)
