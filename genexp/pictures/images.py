"""Pictures of generated pictures."""

from PIL import Image

from genexp.figures.images import sheet
from genexp.measures.record import picture
from genexp.subject import Subject


@picture("samples", "Samples", lead=0, data={"pictures"})
def samples(subject: Subject) -> Image.Image:
    """Sixteen of them."""
    return sheet(subject.samples[:16].numpy(), 4, pixels=600)


@picture("prior_samples", "New pictures, from the prior", lead=1, data={"pictures"})
def prior_samples(subject: Subject) -> Image.Image:
    """As many as are seen at a glance."""
    return sheet(subject.samples[:72].numpy(), 12, pixels=1100)
