"""The figures of a latent-variable model of pictures."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genexp.artifacts import RunFolder
from genexp.data.images import ImageData, ImageSet
from genexp.errors import UserError, unknown
from genexp.figures import images, latent
from genexp.latent.paths import four_corners, linear, spherical
from genexp.latent.seminar import through_flow
from genexp.seeds import seed_for, seeded
from genexp.settings import FigureSettings, RunSettings
from genexp.studies.base import Evaluation, Subject
from genexp.studies.latent import test_part

STRIP, CORNERS = 10, 9  # pictures in a strip, and a side of the four-corner square


def draw_latent(subject: Subject, evaluation: Evaluation, folder: RunFolder, snapshots: Sequence[tuple[int, Tensor]]) -> None:
    """Every picture of the latent space that there is."""
    test = test_part(subject)
    with seeded(seed_for(subject.settings.seed, "figures"), subject.device), torch.no_grad():
        draw_scatter(subject, evaluation.samples["latent"], test, folder)
        draw_reconstructions(subject, test, folder)
        draw_interpolation(subject, test, folder)
        draw_four_corners(subject, test, folder)
        draw_samples_through_flow(subject, folder)
        if subject.model.latent == 2:
            draw_plane(subject, test, folder)
            draw_training(subject, snapshots, folder)
    if len(evaluation.scores) > 1:
        title, axis = "how surprising each picture is", "−ln p(x) or its bound, nats"
        folder.save_figure("anomalies", latent.histogram(evaluation.scores, title, axis))


def draw_scatter(subject: Subject, z: np.ndarray, test: ImageSet, folder: RunFolder) -> None:
    """Latent points by class (Figure 1 of the article); of more than two dimensions their two principal components."""
    label = None if test.label is None else test.label.cpu().numpy()
    title, axis = f"where the model puts {len(z):,} test pictures", "z"
    if z.shape[1] > 2 and len(z) > 3:
        z_all, centred = z, z - z.mean(0)
        _, strength, directions = np.linalg.svd(centred, full_matrices=False)
        share = (strength[:2] ** 2).sum() / max((strength**2).sum(), 1e-30)
        z, axis = centred @ directions[:2].T, "principal component "
        title += f" ({share:.0%} of the variance)"
        folder.save_figure(
            "latent_tsne", latent.scatter(tsne(z_all), label, subject.data.spec.classes, "the same by t-SNE", "t-SNE ")
        )
    if z.shape[1] == 2:
        folder.save_figure("latent", latent.scatter(z, label, subject.data.spec.classes, title, axis))


def tsne(z: np.ndarray, seed: int = 0) -> np.ndarray:
    """Points of many dimensions (n, d) in two, neighbours kept near; (n, 2)."""
    from sklearn.manifold import TSNE

    return TSNE(perplexity=min(30.0, (len(z) - 1) / 3), random_state=seed, init="pca").fit_transform(z)


def draw_reconstructions(subject: Subject, test: ImageSet, folder: RunFolder, count: int = 12) -> None:
    """Test pictures over what becomes of them."""
    batch = test[spread(test, count)].batch()
    decoded = subject.model.decode(subject.model.encode(batch.x, batch.label), batch.label)
    pictures = {"original": batch.x, "reconstruction": decoded}
    folder.save_figure("reconstructions", images.rows({name: _array(x) for name, x in pictures.items()}))


def draw_interpolation(subject: Subject, test: ImageSet, folder: RunFolder) -> None:
    """From one test picture to another, straight and along an arc: strip and film (Figure 2 of the article)."""
    figures = subject.settings.figures
    batch = test[endpoints(test, figures, subject.data.spec.classes)].batch()
    start, end = subject.model.encode(batch.x, batch.label)
    ways = {"linear": linear, "spherical": spherical}
    label = None if batch.label is None else batch.label[:1]

    def walk(steps: int) -> dict[str, np.ndarray]:
        labels = None if label is None else label.expand(steps)
        return {name: _array(subject.model.decode(way(start, end, steps), labels)) for name, way in ways.items()}

    strip = {"linear": walk(STRIP)["linear"], "spherical": walk(STRIP)["spherical"]}
    ends = _array(batch.x)
    framed = {name: np.concatenate([ends[:1], row, ends[1:]]) for name, row in strip.items()}
    folder.save_figure("interpolation", images.rows(framed, "between two test pictures (left and right end)"))
    if figures.gif:
        moving = np.stack(list(walk(figures.gif_frames).values()), axis=1)
        there_and_back = np.concatenate([moving, moving[-2:0:-1]])
        film = images.film(there_and_back, list(ways), figures.gif_size)
        folder.save_gif("interpolation", film, figures.gif_fps, hold_last=1 / figures.gif_fps)


def draw_four_corners(subject: Subject, test: ImageSet, folder: RunFolder) -> None:
    """A square between four test pictures."""
    batch = test[spread(test, 4)].batch()
    square = four_corners(subject.model.encode(batch.x, batch.label), CORNERS)
    label = None if batch.label is None else batch.label[:1].expand(CORNERS**2)
    decoded = _array(subject.model.decode(square.flatten(0, 1), label))
    folder.save_figure("four_corners", images.sheet(decoded, CORNERS))


def draw_samples_through_flow(subject: Subject, folder: RunFolder, count: int = 72) -> None:
    """Where the posterior has a flow: what the article took for samples, to be shown beside prior_samples.png."""
    model = subject.model
    posterior = getattr(model, "posterior", None)
    if posterior is not None and posterior.has_flow and not subject.data.spec.classes[: model.classes]:
        decoded = _array(model.decode(through_flow(posterior, count)))
        folder.save_figure("prior_samples_through_flow", images.sheet(decoded, 12, pixels=1100))


def draw_plane(subject: Subject, test: ImageSet, folder: RunFolder) -> None:
    """The decoded plane at the prior's quantiles, and the aggregate posterior beside the prior."""
    side = subject.settings.figures.manifold_side
    u = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    quantiles = torch.special.ndtri(u).float()
    z = torch.cartesian_prod(quantiles, quantiles).flip(1).to(subject.device)  # row by row: z₁ runs fastest
    label = None if not subject.data.spec.classes else torch.zeros(len(z), dtype=torch.long, device=subject.device)
    decoded = _array(subject.model.decode(z, label))
    folder.save_figure("manifold", latent.manifold(decoded.reshape(side, side, *decoded.shape[1:]), quantiles.numpy()))
    parts = [test[start : start + 2048].batch() for start in range(0, len(test), 2048)]
    model, many = subject.model, 400_000
    prior = model.sample_latent(many).cpu() if hasattr(model, "sample_latent") and not model.classes else torch.randn(many, 2)
    drawn = torch.cat([subject.model.draw_posterior(part.x, part.label).float().cpu() for part in parts])
    folder.save_figure("aggregate", latent.aggregate(drawn.numpy(), prior.numpy()))


def draw_training(subject: Subject, snapshots: Sequence[tuple[int, Tensor]], folder: RunFolder) -> None:
    """The latent plane as training went on."""
    figures = subject.settings.figures
    if not figures.gif or not snapshots:
        return
    label = subject.data.validation.label
    kept = [snapshots[index] for index in np.unique(np.linspace(0, len(snapshots) - 1, figures.gif_frames).round().astype(int))]
    points = [(step, z.float().numpy()) for step, z in kept]
    colours = None if label is None else label[: len(points[0][1])].cpu().numpy()
    film = latent.training_film(points, colours, subject.data.spec.classes, figures.gif_size)
    folder.save_gif("training", film, fps=8)


def spread(pictures: ImageSet, count: int) -> Tensor:
    """The positions of `count` pictures, the classes in turn: the first of each, then the second; again where they are few."""
    again = torch.arange(count) % len(pictures)
    if pictures.label is None:
        return again
    label = pictures.label.cpu()
    seen = torch.stack([(label[:position] == label[position]).sum() for position in range(min(len(label), 500))])
    return torch.argsort(seen * 1000 + label[: len(seen)], stable=True)[again % len(seen)]


def endpoints(pictures: ImageSet, figures: FigureSettings, classes: tuple[str, ...]) -> Tensor:
    """The positions of the two pictures to walk between: those asked for, or the first of two classes."""
    if figures.pair is not None:
        return torch.tensor(figures.pair)
    if figures.between is not None and pictures.label is not None:
        return torch.stack([(pictures.label == classes.index(name)).nonzero()[0, 0] for name in figures.between]).cpu()
    return spread(pictures, 2)


def check_endpoints(data: ImageData, settings: RunSettings) -> None:
    """UserError where the pictures that are asked for are not there."""
    count, figures = min(len(data.test), settings.evaluation.num_points), settings.figures
    if figures.pair is not None and max(figures.pair) >= count:
        raise UserError(f"figures.pair={list(figures.pair)}: there are {count:,} test pictures, counted from 0")
    for name in figures.between or ():
        if name not in data.spec.classes:
            raise unknown("class", name, data.spec.classes)
        label = data.test[:count].label
        if label is None or data.spec.classes.index(name) not in label:
            raise UserError(f"figures.between: no test picture is one of {name}")


def _array(x: Tensor) -> np.ndarray:
    return x.float().cpu().numpy()
