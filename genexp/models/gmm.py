"""`model=gmm`: a Gaussian mixture, fitted by expectation maximisation or along the gradient of its likelihood."""

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.mixtures import shrinkage
from genexp.mixtures.clusters import clusters
from genexp.mixtures.whitening import Whitening, factor_of
from genexp.models.base import Gaussians, GenerativeModel, Terms
from genexp.models.normal import Ridge, below, triangle
from genexp.registry import models
from genexp.settings import Drawn, Weight

PART = 2**18  # numbers y_nk that are held at once: two megabytes, of the order of a core's cache
LOOKED_AT = 8_192  # examples that clusters are found among
SHORT = 20  # steps of EM that tell one start from another
DEAD = 1e-8  # share of what a component would have if all were equal: with less it stays where it was
LEAST = 1e-12  # variance, where no ridge keeps it up
FAINTEST = -80.0  # ln of a weight


@models.register("gmm")
class GMM(GenerativeModel):
    r"""p(x) = Σ_k w_k N(x; μ_k, Σ_k), with w = softmax(log_weight) and Σ_k = L_k L_kᵀ.

    A step of EM: r_nk = w_k N(x_n; μ_k, Σ_k) / p(x_n), and then, with N_k = Σ_n r_nk,
    w_k = N_k / N, μ_k = Σ_n r_nk x_n / N_k, Σ_k = Σ_n r_nk (x_n − μ_k)(x_n − μ_k)ᵀ / N_k.

    With `shrinkage`, what EM and the gradient climb is the likelihood less the price of components that are unlike each other
    (`genexp.mixtures.shrinkage`).

    The numbers are those of data brought to mean 0 and standard deviation 1. The set is read in parts, and of each only
    N_k, Σ_n r_nk y_nk and Σ_n r_nk y_nk y_nkᵀ are kept, where y_nk = L_k⁻¹ (x_n − μ_k): of size one, wherever the data lie.

    The first means are those of clusters (k-means++); all components begin with the covariance within clusters.

    In short:
        Weights, means and covariances of a few Gaussians are learnt that together are the density: the simplest model with
        several peaks, in closed form wherever one looks.

    Equation:
        p(x) = \sum_{k} w_k \, \mathcal{N}(x; μ_k, Σ_k), \qquad r_{nk} = \frac{w_k \, \mathcal{N}(x_n; μ_k, Σ_k)}{p(x_n)}
        w_k = \frac{N_k}{N}, \quad μ_k = \frac{1}{N_k} \sum_n r_{nk} x_n, \quad
            Σ_k = \frac{1}{N_k} \sum_n r_{nk} (x_n - μ_k)(x_n - μ_k)^T, \quad N_k = \sum_n r_{nk}

    Objective:
        \mathcal{L} = -\frac{1}{N} \sum_{n} \ln \sum_{k} w_k \, \mathcal{N}(x_n; μ_k, Σ_k)

    Args:
        components: how many Gaussians.
        covariance: each Σ_k in full, the same one for all (`tied`), its diagonal alone, or one variance for all coordinates.
        fitter: `em`, or `gradient` as the trainer's settings say.
        restarts: so many starts are made, each tried for a few steps of EM, the better half of them for a few more, and so on;
            it begins where the last one began.
        ridge: no variance is below this share of the data's, so that no component collapses onto one example.
        shrinkage: so many examples of a common covariance are added to those of each component. null: as many as it takes to
            know a covariance at all, one for each dimension, or 1 where there are only variances; 0: none, which is maximum
            likelihood, and overfits where a component has not many times more examples than that.
        tolerance: nats per example; a step of EM that gains less is the last.
        examples: so many are drawn of a data set without end.

    Raises:
        UserError: data that are no points; fewer of them than components.

    Source: Dempster, Laird & Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm (1977).
    """

    can: frozenset[Ability] = frozenset({"sample", "exact", "gaussians"})
    objective: Objective = "nll"
    centre: Tensor
    spread: Tensor
    count: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        components: Annotated[int, Field(ge=1, le=10_000)] = 8,
        covariance: Literal["full", "tied", "diagonal", "spherical"] = "full",
        fitter: Literal["em", "gradient"] = "em",
        restarts: Annotated[int, Field(ge=1, le=1000)] = 8,
        ridge: Ridge = 1e-6,
        shrinkage: Weight | None = None,
        tolerance: Weight = 1e-6,
        examples: Drawn = 65_536,
    ) -> None:
        super().__init__()
        dim = spec.points("gmm")
        self.covariance, self.ridge, self.tolerance, self.examples = covariance, ridge, tolerance, examples
        self.fitter, self.restarts, self.full = fitter, restarts, covariance in ("full", "tied")
        factors = 1 if covariance == "tied" else components
        least = dim if self.full else 1
        self.shrinkage = 0.0 if factors == 1 else float(least) if shrinkage is None else shrinkage
        by_gradient = fitter == "gradient"
        self.log_weight = nn.Parameter(torch.zeros(components), by_gradient)
        self.mean = nn.Parameter(torch.zeros(components, dim), by_gradient)
        self.below = nn.Parameter(torch.zeros(factors, below(dim, "full" if self.full else "diagonal", factors)), by_gradient)
        self.log_scale = nn.Parameter(torch.zeros(factors, 1 if covariance == "spherical" else dim), by_gradient)
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))
        self.register_buffer("count", torch.ones((), dtype=torch.float64))  # of the examples, beside which that price is paid
        self.register_load_state_dict_pre_hook(_in_units_of_the_data)

    # --- fitting ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        x = batch.x
        if len(x) < len(self.mean):
            raise UserError(f"model.components={len(self.mean)}: there are only {len(x)} examples")
        self._normalise(x)
        self.count.fill_(len(x))
        some = x[torch.randperm(len(x))[:LOOKED_AT].to(x.device)]
        tried = []  # starts, and what has become of each
        for _ in range(self.restarts):
            self._begin(self._normalised(some.double()))
            tried.append((self._kept(), self._kept()))
        while len(tried) > 1:
            found = []
            for start, state in tried:
                self.load_state_dict(state)
                loss = float([self._update(some) for _ in range(SHORT)][-1])
                found.append((loss, start, self._kept()))
            tried = [each[1:] for each in sorted(found, key=lambda each: each[0])[: len(tried) // 2]]
        self.load_state_dict(tried[0][0])

    def _kept(self) -> dict[str, Tensor]:
        return {name: weights.clone() for name, weights in self.state_dict().items()}

    def _normalise(self, x: Tensor) -> None:
        """From now on the numbers are those of x (n, dim) with mean 0 and standard deviation 1: one for all coordinates where
        they have one variance; 1 of what never moves.
        """
        self.centre.copy_(x.mean(0, dtype=torch.float64))
        variance = sum((part.double() - self.centre).square().sum(0) for part in x.split(LOOKED_AT)) / len(x)  # type: ignore[union-attr]
        if self.covariance == "spherical":
            variance = variance.mean().expand_as(variance)
        self.spread.copy_(torch.where(variance > 0, variance.sqrt(), 1.0))

    def _begin(self, z: Tensor) -> None:
        """Clusters of normalised examples z (n, dim), all with the same covariance; none is without weight."""
        means, index = clusters(z, len(self.mean))
        y = z - means[index]
        within = y.mT @ y / len(y) if self.full else y.square().mean(0)
        sizes = torch.bincount(index, minlength=len(means)).double()
        self.log_weight.copy_(((sizes + 1) / (sizes + 1).sum()).log())
        self.mean.copy_(means)
        self._factorise(within.expand(len(self.log_scale), *within.shape))

    @torch.no_grad()
    def em_step(self, batch: Batch) -> Terms:
        """One step on the whole training set; before it −mean ln p(x), and the price on top."""
        return {"loss": self._update(batch.x)}

    def _update(self, x: Tensor) -> Tensor:
        """The same of x (n, dim), in float64."""
        components, dim = self.mean.shape
        whitening = self._whitening(torch.float64)
        counts, first = (x.new_zeros(shape, dtype=torch.float64) for shape in ((components,), (components, dim)))
        second, total = first.new_zeros(components, dim, *([dim] if self.full else [])), first.new_zeros(())
        for part in x.split(max(32, PART // (components * dim))):
            y = whitening(self._normalised(part.double()))
            joint = whitening.log_weight - 0.5 * y.square().sum(1)
            largest = joint.amax(0)
            r = joint.sub_(largest).exp_()  # once: it is what takes longest
            sums = r.sum(0)
            r.div_(sums)
            weighted = y * r[:, None]
            total += (largest + sums.log_()).sum()
            counts += r.sum(1)
            first += weighted.sum(2)
            second += weighted @ y.mT if self.full else weighted.mul_(y).sum(2)
        self._maximise(counts, first, second, whitening.factor)
        return self.spread.double().log().sum() - total / len(x) + self._unlike(whitening.factor) / len(x)

    def _maximise(self, counts: Tensor, first: Tensor, second: Tensor, factor: Tensor) -> None:
        """The weights, means and covariances that fit best, from N_k, Σ_n r_nk y_nk and Σ_n r_nk y_nk y_nkᵀ (its diagonal)."""
        share = counts / counts.sum()
        alive, size = share > DEAD / len(counts), counts.clamp(min=1e-300)[:, None]
        moved = torch.where(alive[:, None], first / size, 0.0)
        self.log_weight.copy_(share.log().clamp(min=FAINTEST))
        if self.full:
            self.mean.add_((factor @ moved[:, :, None]).squeeze(2))
            within = torch.where(alive[:, None, None], second / size[:, :, None], torch.eye(second.shape[1]).to(second))
            within = factor @ (within - moved[:, :, None] * moved[:, None]) @ factor.mT
        else:
            self.mean.add_(factor * moved)
            within = factor.square() * (torch.where(alive[:, None], second / size, 1.0) - moved.square())
        if self.covariance == "tied":
            within = (share[:, None, None] * within).sum(0, keepdim=True)
        elif self.shrinkage:
            within = shrinkage.shrunk(within, counts, shrinkage.common(factor), self.shrinkage)
        self._factorise(within)

    def _unlike(self, factor: Tensor) -> Tensor:
        """The price of unlike covariances, in nats for the whole set."""
        return shrinkage.loss(factor, self.shrinkage) if self.shrinkage else factor.new_zeros(())

    def _factorise(self, covariance: Tensor) -> None:
        """Take on covariances (k, dim, dim), or variances (k, dim), none of them below the least."""
        least = max(self.ridge, LEAST)
        if self.full:
            factor = factor_of(covariance, least)
            rows, columns = torch.tril_indices(factor.shape[1], factor.shape[1], -1)
            self.below.copy_(factor[:, rows, columns])
            variances = factor.diagonal(dim1=1, dim2=2).square()
        else:
            variances = covariance.mean(1, keepdim=True) if self.covariance == "spherical" else covariance
            variances = variances.clamp(min=least)
        self.log_scale.copy_(0.5 * (variances - self._floor).clamp(min=LEAST**2).log())

    # --- the density -----------------------------------------------------------------------------------------

    @property
    def _floor(self) -> float:
        """What the squared diagonal of L has on top of exp(2 log_scale). EM keeps variances up by itself."""
        return self.ridge if self.fitter == "gradient" else 0.0

    def _normalised(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.spread

    def _scale(self) -> Tensor:
        """The diagonals of L, (components, dim), or (1, …) of all of them."""
        scale = (2 * self.log_scale).exp().add(self._floor).sqrt() if self._floor else self.log_scale.exp()
        return scale.expand(-1, self.mean.shape[1])

    def _factors(self) -> Tensor:
        """L (components, dim, dim), in normalised units."""
        return triangle(self._scale().log(), self.below, self.mean.shape[1]).expand(len(self.mean), -1, -1)

    def _whitening(self, dtype: torch.dtype) -> Whitening:
        log_weight = self.log_weight.to(dtype).log_softmax(0) - self._scale().to(dtype).log().sum(1)
        log_weight = log_weight - 0.5 * self.mean.shape[1] * math.log(2 * math.pi)
        factor = self._factors() if self.full else self._scale().expand(len(self.mean), -1)
        return Whitening(factor.to(dtype), self.mean.to(dtype), log_weight[:, None])

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)], and the price on top, in nats per example."""
        factor = self._factors() if self.full else self._scale()
        return {"loss": -self.log_prob(batch.x).mean() + self._unlike(factor) / self.count.to(batch.x.dtype)}

    def validate(self, batch: Batch) -> Terms:
        """−E[ln p(x)] alone."""
        return {"loss": -self.log_prob(batch.x).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats."""
        whitening = self._whitening(x.dtype)
        parts = self._normalised(x).split(max(32, 64 * PART // self.mean.numel()))
        joint = [whitening.log_weight - 0.5 * whitening(part).square().sum(1) for part in parts]
        return torch.cat([each.logsumexp(0) for each in joint]) - self.spread.log().sum()

    @torch.no_grad()
    def gaussians(self) -> Gaussians:
        """w_k, μ_k and Σ_k."""
        factors = self.spread[:, None] * self._factors()
        free = sum(each.numel() for each in (self.log_weight, self.mean, self.below, self.log_scale)) - 1
        return Gaussians(self.log_weight.softmax(0), self.mean * self.spread + self.centre, factors @ factors.mT, free)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, shape (n, dim)."""
        k = torch.multinomial(self.log_weight.softmax(0), n, replacement=True)
        noise = torch.randn(n, self.mean.shape[1], device=self.mean.device, dtype=self.mean.dtype)
        with all_digits(self.mean.device):
            noise = (self._factors()[k] @ noise[:, :, None]).squeeze(2) if self.full else noise * self._scale()[k]
        return (self.mean[k] + noise) * self.spread + self.centre


def _in_units_of_the_data(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights of earlier versions were in the data's own units, and knew no count."""
    state.setdefault(f"{prefix}count", torch.ones_like(module.count))  # type: ignore[arg-type]
    state.setdefault(f"{prefix}centre", torch.zeros_like(module.centre))  # type: ignore[arg-type]
    state.setdefault(f"{prefix}spread", torch.ones_like(module.spread))  # type: ignore[arg-type]
