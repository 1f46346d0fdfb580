"""Pictures of latent spaces: where the model puts test pictures, and what it makes of points."""

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from genexp.data.images import ImageSet
from genexp.figures import images, latent
from genexp.latent.paths import four_corners, linear, spherical
from genexp.measures.anomalies import scores, scores_of_others
from genexp.measures.collapse import COLLAPSED, unit_kl
from genexp.measures.latents import drawn_latents, test_latents
from genexp.measures.record import Film, film, picture
from genexp.subject import Subject

REACH = 3.5  # of a latent plane that is N(0, I)
STRIP, CORNERS, RECONSTRUCTED = 10, 9, 12  # pictures in a strip, a side of the four-corner square, test pictures
WAYS = {"linear": linear, "spherical": spherical}
MODEL, DATA = {"latents"}, {"examples", "pictures"}


# --- where pictures lie --------------------------------------------------------------------------------------


@picture("latent", "Where the test pictures lie in latent space", lead=2, model=MODEL, data=DATA)
def places(subject: Subject) -> Figure | None:
    """Latent points by class; of more than two dimensions their two principal components."""
    z = test_latents(subject).numpy()
    title, axis = f"where the model puts {len(z):,} test pictures", "z"
    if z.shape[1] > 2 and len(z) > 3:
        centred = z - z.mean(0)
        _, strength, directions = np.linalg.svd(centred, full_matrices=False)
        share = (strength[:2] ** 2).sum() / max((strength**2).sum(), 1e-30)
        z, axis = centred @ directions[:2].T, "principal component "
        title += f" ({share:.0%} of the variance)"
    return latent.scatter(z, _label(subject), subject.data.spec.classes, title, axis) if z.shape[1] == 2 else None


@picture("latent_tsne", "The latent space by t-SNE", model=MODEL, data=DATA)
def places_by_tsne(subject: Subject) -> Figure | None:
    """Of more than two dimensions."""
    z = test_latents(subject).numpy()
    if z.shape[1] <= 2 or len(z) <= 3:
        return None
    return latent.scatter(tsne(z), _label(subject), subject.data.spec.classes, "the same by t-SNE", "t-SNE ")


def tsne(z: np.ndarray, seed: int = 0) -> np.ndarray:
    """Points of many dimensions (n, d) in two, neighbours kept near; (n, 2)."""
    from sklearn.manifold import TSNE

    return TSNE(perplexity=min(30.0, (len(z) - 1) / 3), random_state=seed, init="pca").fit_transform(z)


@picture("aggregate", "The aggregate posterior beside the prior", model={"latents", "plane"}, data=DATA)
def aggregate(subject: Subject, many: int = 400_000) -> Figure:
    model = subject.model
    own = "prior" in subject.can and "classes" not in subject.can
    prior = model.sample_latent(many).cpu() if own else torch.randn(many, 2)
    drawn = drawn_latents(subject).numpy()
    reach = max(REACH, float(np.quantile(np.abs(drawn), 0.99)))  # of an autoencoder they lie anywhere
    return latent.aggregate(drawn, prior.numpy(), reach)


@picture("units", "What each latent dimension says of an example, and which have collapsed", model={"unit_kl"})
def units(subject: Subject) -> Figure | None:
    """Of more than two dimensions."""
    kl = unit_kl(subject).numpy()
    return latent.units(kl, COLLAPSED) if len(kl) > 2 else None


@picture("anomalies", "How surprising other data are", model=MODEL, data=DATA)
def anomalies(subject: Subject) -> Figure | None:
    """−ln p(x), or its bound, of each picture, by data set; where others were asked for."""
    if not subject.settings.evaluation.anomalies:
        return None
    found = {name: score.surprise for name, score in [("test", scores(subject)), *scores_of_others(subject).items()]}
    return latent.histogram(found, "how surprising each picture is", "−ln p(x) or its bound, nats")


# --- what points become --------------------------------------------------------------------------------------


@picture("reconstructions", "Test pictures and what becomes of them", lead=5, model=MODEL, data=DATA)
def reconstructions(subject: Subject) -> Figure:
    batch = subject.test_part[spread(subject.test_part, RECONSTRUCTED)].batch()
    decoded = subject.model.decode(subject.model.encode(batch.x, batch.label), batch.label)
    return images.rows({name: array(x) for name, x in (("original", batch.x), ("reconstruction", decoded))})


@picture(
    "sampling",
    "What is decoded: codes of test pictures, latents of the prior, and of N(0, I)",
    model=MODEL | {"prior"},
    data=DATA,
)
def sampling(subject: Subject) -> Figure | None:
    """Of a VAE all three are to look alike; of an autoencoder, whose codes lie anywhere, the last is not."""
    if "classes" in subject.can:
        return None
    model, x = subject.model, subject.test_part[spread(subject.test_part, RECONSTRUCTED)].batch().x
    normal = torch.randn(len(x), model.latent, device=subject.device)
    latents = {"of test pictures": model.encode(x), "z of the model's prior": model.sample_latent(len(x)), "z ~ N(0, I)": normal}
    return images.rows({name: array(model.decode(z)) for name, z in latents.items()}, "what is decoded from where")


@picture("interpolation", "From one test picture to another", lead=4, model=MODEL, data=DATA)
def interpolation(subject: Subject) -> Figure:
    """Straight and along an arc, the two pictures themselves at the ends. Of exemplars straight, which leads from one to
    the next; and the two exemplars of the ends, each warped towards the other as it gives way to it.
    """
    ends, rows = walk(subject, STRIP)
    return between(ends, rows)


@film("interpolation", "From one test picture to another", lead=4, model=MODEL, data=DATA)
def interpolation_film(subject: Subject) -> Film:
    """There and back."""
    return there_and_back(subject, walk(subject, subject.settings.figures.gif_frames)[1])


def between(ends: np.ndarray, rows: dict[str, np.ndarray]) -> Figure:
    """The pictures of each way with its two ends (2, *shape)."""
    framed = {name: np.concatenate([ends[:1], row, ends[1:]]) for name, row in rows.items()}
    return images.rows(framed, "between two test pictures (left and right end)")


def there_and_back(subject: Subject, rows: dict[str, np.ndarray]) -> Film:
    """The pictures of each way, side by side, one after another."""
    figures = subject.settings.figures
    moving = np.stack([*rows.values()], axis=1)
    frames = images.film(np.concatenate([moving, moving[-2:0:-1]]), list(rows), figures.gif_size)
    return Film(frames, figures.gif_fps, hold_last=1 / figures.gif_fps)


def walk(subject: Subject, steps: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two test pictures (2, *shape), and `steps` pictures on each way from one to the other."""
    chosen = endpoints(subject)
    batch = subject.test_part[chosen].batch()
    start, end = subject.model.encode(batch.x, batch.label)
    labels = None if batch.label is None else batch.label[:1].expand(steps)
    if "exemplars" in subject.can:
        s = torch.linspace(0, 1, steps, device=subject.device)
        ways = {
            "exemplar by exemplar": subject.model.decode(linear(start, end, steps)),
            "warped and mixed": mixed(subject.model, batch.x, torch.stack([1 - s, s], 1)),
        }
    else:
        ways = {name: subject.model.decode(way(start, end, steps), labels) for name, way in WAYS.items()}
    return array(batch.x), {name: array(x) for name, x in ways.items()}


def mixed(model: Any, x: Tensor, weights: Tensor) -> Tensor:
    """Mixtures of pictures x (n, *shape) by weights (m, n) that add up to 1: Σ_j w_j E[x | Σ_i w_i z_ij], of z_ij the point of
    picture i as the exemplar of picture j shows it. Each exemplar is warped to where the pictures meet, and all are laid over
    each other.
    """
    points = (weights[:, :, None, None] * model.crossed(x)).sum(1)
    decoded = model.decode(points.flatten(0, 1)).unflatten(0, points.shape[:2])
    return (weights[(...,) + (None,) * (x.dim() - 1)] * decoded).sum(1)


@picture("four_corners", "A square between four test pictures", model=MODEL, data=DATA)
def corners(subject: Subject) -> Image.Image:
    batch = subject.test_part[spread(subject.test_part, 4)].batch()
    if "exemplars" in subject.can:
        weights = four_corners(torch.eye(4, device=subject.device), CORNERS).square()  # which add up to 1
        return images.sheet(array(mixed(subject.model, batch.x, weights.flatten(0, 1))), CORNERS)
    square = four_corners(subject.model.encode(batch.x, batch.label), CORNERS)
    label = None if batch.label is None else batch.label[:1].expand(CORNERS**2)
    return images.sheet(array(subject.model.decode(square.flatten(0, 1), label)), CORNERS)


@picture("manifold", "The latent plane, decoded", lead=3, model={"latents", "plane"}, data=DATA)
def manifold(subject: Subject) -> Figure:
    """At the prior's quantiles."""
    side = subject.settings.figures.manifold_side
    u = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    quantiles = torch.special.ndtri(u).float()
    z = torch.cartesian_prod(quantiles, quantiles).flip(1).to(subject.device)  # row by row: z₁ runs fastest
    label = None if not subject.data.spec.classes else torch.zeros(len(z), dtype=torch.long, device=subject.device)
    decoded = array(subject.model.decode(z, label))
    return latent.manifold(decoded.reshape(side, side, *decoded.shape[1:]), quantiles.numpy())


def endpoints(subject: Subject) -> Tensor:
    """The positions of the two test pictures to walk between: those asked for, or the first of two classes."""
    figures, test = subject.settings.figures, subject.test_part
    if figures.pair is not None:
        return torch.tensor(figures.pair)
    if figures.between is not None and test.label is not None:
        classes = subject.data.spec.classes
        return torch.stack([(test.label == classes.index(name)).nonzero()[0, 0] for name in figures.between]).cpu()
    return spread(test, 2)


def spread(pictures: ImageSet, count: int) -> Tensor:
    """The positions of `count` pictures, the classes in turn: the first of each, then the second; again where they are few."""
    again = torch.arange(count) % len(pictures)
    if pictures.label is None:
        return again
    label = pictures.label.cpu()
    seen = torch.stack([(label[:position] == label[position]).sum() for position in range(min(len(label), 500))])
    return torch.argsort(seen * 1000 + label[: len(seen)], stable=True)[again % len(seen)]


def array(x: Tensor) -> np.ndarray:
    return x.float().cpu().numpy()


def _label(subject: Subject) -> np.ndarray | None:
    label = subject.test_part.label
    return None if label is None else label.cpu().numpy()
