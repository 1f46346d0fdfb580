"""Pictures of generated pictures."""

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image

from genexp.figures.images import rows, sheet
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


@picture("codes", "Test pictures, their codes by number, and what becomes of them", lead=5, model={"codes"}, data={"pictures"})
@torch.no_grad()
def codes(subject: Subject) -> Figure:
    batch = subject.test[:12]
    index = subject.model.codes(batch.x)
    decoded = subject.model.decode_codes(index)
    shown = index[:, None].float() / max(1, int(index.max()))
    enlarged = F.interpolate(shown, tuple(batch.x.shape[2:]))[:, :1].expand_as(batch.x)
    named = {"original": batch.x, "codes, by number": enlarged, "reconstruction": decoded}
    return rows({name: x.cpu().numpy() for name, x in named.items()})


@picture("decoded", "Samples of the codes, decoded by the run that they are of", lead=0, model={"sample"}, data={"decoder"})
def decoded(subject: Subject) -> Image.Image:
    return sheet(subject.data.decode(subject.samples[:72].long()).numpy(), 12, pixels=1100)
