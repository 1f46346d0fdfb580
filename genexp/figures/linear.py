"""Pictures of the linear VAE beside what is known in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator, NullFormatter

from genexp.figures.style import BLUE, GREY, INK, ORANGE, classes, drawn, panels


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the data's covariance (d,), largest first; those of the model's WWᵀ + σ²I (latent,); σ²; and the KL of each
    latent dimension, largest first, in nats.
    """

    data: np.ndarray
    model: np.ndarray
    noise: float
    kl: np.ndarray


@drawn
def spectrum(found: Spectrum, active: int) -> Figure:
    """Which directions are learnt; how many units are active at any σ², and at this one; and what KL each carries."""
    figure, [[left, middle, right]] = panels(1, 3, 3.9, 3.5)
    number = np.arange(1, len(found.data) + 1)
    least = 0.3 * min(found.noise, float(found.data[len(found.kl) - 1 :].max(initial=found.noise)))
    left.bar(number, np.maximum(found.data, least), color=GREY, alpha=0.45, label="eigenvalues of the data")
    left.plot(number[: len(found.model)], found.model, "o", color=ORANGE, ms=4, label="of the model, WWᵀ + σ²I")
    left.axhline(found.noise, color=INK, lw=1, ls="--", label="σ²")
    shown = min(len(number), 2 * len(found.kl))
    left.set(title="directions", xlabel="direction", ylabel="variance", yscale="log", xlim=(0.3, shown + 0.7))
    left.set_ylim(bottom=least)
    left.legend(fontsize=7)

    levels = found.data[: len(found.kl)]
    ends = 0.5 * min(found.noise, float(levels[-1])), 2 * max(found.noise, float(levels[0]))
    heights, edges = np.arange(len(levels), -1, -1), np.array([ends[0], *levels[::-1], ends[1]])
    middle.stairs(heights, edges, baseline=None, color=INK, lw=1.2, label="theory: eigenvalues above σ²")
    middle.plot([found.noise], [active], "o", color=ORANGE, ms=8, label="this run")
    middle.axvline(found.noise, color=INK, lw=0.8, ls=":")
    middle.set(title="a staircase over σ²", xlabel="σ²", ylabel="active units", xscale="log", xlim=ends)
    middle.yaxis.set_major_locator(MaxNLocator(integer=True))
    middle.xaxis.set_minor_formatter(NullFormatter())
    middle.legend(fontsize=7)

    theory = 0.5 * np.log(np.maximum(levels / found.noise, 1))
    right.bar(number[: len(found.kl)], found.kl, color=ORANGE, alpha=0.6, label="KL(q ‖ p) of each unit, largest first")
    right.stairs(theory, np.arange(len(theory) + 1) + 0.5, color=INK, lw=1.2, label="theory: ½ ln(λ/σ²), or 0")
    right.set(title="what collapses", xlabel="latent dimension", ylabel="nats")
    right.set_ylim(top=1.3 * max(float(theory.max()), float(found.kl.max())))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(fontsize=7, loc="upper right")
    return figure


@dataclass(frozen=True)
class Estimates:
    """Of ln p(x) of the same examples, in nats: at each number of samples k (n,) the mean bound and its error, and the root mean
    square error of the Monte Carlo ELBO of one example; in closed form ln p(x) and the ELBO.
    """

    k: np.ndarray
    bound: np.ndarray
    error: np.ndarray
    elbo_error: np.ndarray
    log_prob: float
    elbo: float


@drawn
def estimates(found: Estimates) -> Figure:
    """On the left the mean over k samples against the formula, on the right the mean weight's logarithm: from ELBO to ln p(x)."""
    figure, [[left, right]] = panels(1, 2, 4.6, 3.6)
    left.loglog(found.k, found.elbo_error, "o-", color=ORANGE, ms=4, label="Monte Carlo ELBO − formula, r.m.s.")
    left.loglog(found.k, found.elbo_error[0] * np.sqrt(found.k[0] / found.k), "--", color=INK, lw=1, label="1/√k")
    left.set(title="the error of the estimate", xlabel="samples k of each example", ylabel="nats")
    left.legend()
    right.axhline(found.log_prob, color=INK, lw=1.2, label="ln p(x), exact")
    right.axhline(found.elbo, color=BLUE, lw=1.2, ls="--", label="ELBO, exact")
    right.errorbar(found.k, found.bound, found.error, fmt="o-", color=ORANGE, ms=4, lw=1.2, label="E ln 1/k Σ w  (IWAE)")
    right.set(title="the bound grows tighter", xlabel="samples k of each example", ylabel="nats an example", xscale="log")
    right.legend(loc="center right")
    return figure


@dataclass(frozen=True)
class Bell:
    """A Gaussian in the plane: mean (2,), covariance (2, 2)."""

    mean: np.ndarray
    covariance: np.ndarray

    def outline(self, axes: Axes, color: str, style: str) -> None:
        """Its ellipses at one and at two standard deviations."""
        values, vectors = np.linalg.eigh(self.covariance)
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        for times in (1, 2):
            wide, high = 2 * times * np.sqrt(np.maximum(values[::-1], 0))
            axes.add_patch(Ellipse(tuple(self.mean), wide, high, angle=angle, fill=False, ec=color, ls=style, lw=1.6))


@drawn
def posteriors(pairs: Sequence[tuple[Bell, Bell]], gap: float) -> Figure:
    """True posteriors p(z|x), whole lines, and the encoder's q(z|x), dashed, of several examples; in the plane of z."""
    figure, [[axes]] = panels(1, 1, 5.2, 4.8)
    for (true, own), color in zip(pairs, classes(len(pairs)), strict=True):
        true.outline(axes, color, "-")
        own.outline(axes, color, "--")
    axes.plot([], [], "-", color=INK, label="p(z|x), exact")
    axes.plot([], [], "--", color=INK, label="q(z|x) of the encoder")
    axes.set(title=f"posteriors of {len(pairs)} examples; mean KL(q ‖ p(z|x)) {gap:.2g} nats", xlabel="z₁", ylabel="z₂")
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.legend(loc="best")
    return figure
