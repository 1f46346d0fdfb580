"""`model=energy`: a density known up to its integral, p(x) = exp(−E(x)) / Z.

On a line and in the plane ln Z is found by quadrature: the likelihood is exact, whatever the energy was learnt by. In more
dimensions it is estimated by annealed importance sampling. Samples are those of long chains.

Source: Song & Kingma, How to Train Your Energy-Based Models (2021).
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.energy.annealed import AnnealedSampler
from genexp.energy.base import Energy, EnergyNetwork, EnergyObjective, energy_networks, energy_objectives, score
from genexp.energy.chains import walk
from genexp.energy.partition import MOST, Resolved, resolved
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import Part, models
from genexp.samplers.mala import MALA
from genexp.settings import Scale, Weight

PICTURES = 0.1  # noise that pictures get, unless it is said how much
HELD = 0.2  # σ of the score matching by which held-out examples judge what has no exact likelihood
AWAY, AWAY_EACH = 3.0, 1 / 8  # nats that samples and data may lie apart in energy before it is said: in all, or each number
Number = Annotated[int, Field(ge=1, le=100_000)]


@models.register("energy")
class EnergyModel(GenerativeModel):
    r"""E(x) = f(u) + |u|²/2τ² with a network f, and u = (x − m)/s in units of the data.

    In short:
        An energy is learnt, low where the data are and high elsewhere; any network will do for it, but its normalisation Z is
        an integral that has to be found by other means.

    Equation:
        p_θ(x) = \frac{e^{-E_θ(x)}}{Z_θ}, \qquad Z_θ = \int e^{-E_θ(x)} \, dx, \qquad E_θ(x) = f_θ(u) + \frac{|u|^2}{2 τ^2}

    Args:
        width: τ, of the Gaussian that the energy is measured from, in standard deviations of the data.
        noise: standard deviation of Gaussian noise that training examples get, in units of x: greys that many pixels share would
            have a density without bound. null: 0.1 of pictures, 0 of points.
        annealing: samples begin at the Gaussian, and are led to the energy by so many transitions.
        settling: transitions that follow.
        leaps: leapfrog steps of each.
        network: f.
        objective: what it is learnt by.

    Raises:
        UserError: data that are no real numbers; an objective that is not of so many dimensions.
    """

    middle: Tensor
    spread: Tensor
    gap: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Scale = 1.5,
        noise: Weight | None = None,
        annealing: Number = 30,
        settling: Number = 20,
        leaps: Number = 5,
        network: Part[EnergyNetwork] = energy_networks.part("mlp"),
        objective: Part[EnergyObjective] = energy_objectives.part("likelihood"),
    ) -> None:
        super().__init__()
        spec.check_kind(("real", "unit"), "model=energy")
        self.shape, self.points = spec.shape, len(spec.shape) == 1
        self.noise = (0.0 if self.points else PICTURES) if noise is None else noise
        self.unnormalised = Energy(network(spec.shape), spec.shape, width)
        self.criterion = objective()
        self.criterion.prepare(self.unnormalised)
        self.sampler = AnnealedSampler(annealing, settling, leaps)
        self.register_buffer("middle", torch.zeros(spec.shape))
        self.register_buffer("spread", torch.ones(spec.shape))
        self.register_buffer("gap", torch.zeros(()))
        self._log_z: tuple[tuple[int, ...], Tensor] | None = None

    @property
    def can(self) -> frozenset[Ability]:
        return frozenset({"sample", "energy", "exact"} if self.exact else {"sample", "energy"})

    @property
    def exact(self) -> bool:
        """Whether ln Z is found by quadrature."""
        return self.points and self.unnormalised.dim <= MOST

    @property
    def objective(self) -> Objective:  # type: ignore[override]
        return self.criterion.kind if self.exact else "other"

    # --- the objective ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Points: the mean and the standard deviation of each number. Pictures: the mean picture, one deviation for all."""
        x = self._noisy(batch.x)
        self.middle.copy_(x.mean(0))
        deviation = x.std(0, correction=0) if self.points else (x - self.middle).square().mean().sqrt()
        self.spread.copy_(torch.where(deviation > 0, deviation, 1.0).expand(self.shape))
        self.criterion.initialise(self.unnormalised, self.in_units(x))

    def loss(self, batch: Batch) -> Terms:
        terms = self.criterion.loss(self.unnormalised, self.in_units(self._noisy(batch.x)))
        return terms | {"loss": terms["loss"] + self.spread.log().sum()} if self.criterion.is_likelihood else terms  # of x, not u

    def validate(self, batch: Batch) -> Terms:
        """−E[ln p] itself where it is known and is what was minimised; else the objective. Of chains in many dimensions neither
        says how good the energy is: there the score is held against denoising, and the gap beside it.
        """
        u = self.in_units(self._noisy(batch.x))
        if self.criterion.kind != "nll":
            terms = self.criterion.validate(self.unnormalised, u)
            return terms | {"nll": -self.log_prob(batch.x).mean()} if self.exact else terms
        if self.exact:
            return {"loss": -self.log_prob(batch.x).mean()}
        noise = torch.randn_like(u)
        error = HELD * score(self.unnormalised, u + HELD * noise).detach() + noise
        return {"loss": 0.5 * error.flatten(1).square().mean()}

    def _noisy(self, x: Tensor) -> Tensor:
        return x + self.noise * torch.randn_like(x) if self.noise else x

    def in_units(self, x: Tensor) -> Tensor:
        """u."""
        return (x - self.middle) / self.spread

    # --- the density -----------------------------------------------------------------------------------------

    def energy(self, x: Tensor) -> Tensor:
        """E(x) = −ln p(x) − ln Z with Z = ∫ exp(−E(u)) du, (n,), in nats: the units of x are counted."""
        return self.unnormalised(self.in_units(x)) + self.spread.log().sum()

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), (n,), in nats; on a line and in the plane only."""
        return -self.energy(x) - self.log_z

    @property
    def log_z(self) -> Tensor:
        """ln Z by quadrature, found once for the weights as they are."""
        weights = [*self.unnormalised.parameters()]
        key = tuple(number for each in weights for number in (each.data_ptr(), each._version))
        if self._log_z is None or self._log_z[0] != key:
            self._log_z = (key, self._resolved().log_z.to(weights[0].dtype))
        return self._log_z[1]

    def _resolved(self) -> Resolved:
        """The density of u on a grid."""
        energy = self.unnormalised
        return resolved(energy.log_density, energy.dim, energy.width, next(energy.parameters()))

    def train(self, mode: bool = True) -> "EnergyModel":
        self._log_z = None
        return super().train(mode)

    @torch.no_grad()
    def conclude(self, batch: Batch) -> None:
        """Find the step sizes of the chains that samples are drawn by; see where these end."""
        self.sampler.tune(self.unnormalised)
        u = self.sampler(self.unnormalised, min(1_000, max(2, len(batch.x))))
        gap = self.unnormalised(u).mean() - self.unnormalised(self.in_units(self._noisy(batch.x))).mean()
        self.gap.copy_(gap)

    def remarks(self) -> list[str]:
        gap = float(self.gap)
        if abs(gap) <= max(AWAY, AWAY_EACH * self.unnormalised.dim):
            return []
        where = "above" if gap > 0 else "below"
        return [f"warning: the model's own samples lie {abs(gap):.3g} nats {where} the data in energy: it has diverged"]

    # --- samples ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, (n, *shape), by annealed chains."""
        return self.in_data(self.sampler(self.unnormalised, n))

    def in_data(self, u: Tensor) -> Tensor:
        """x."""
        return self.middle + self.spread * u

    def exact_samples(self, n: int) -> Tensor:
        """n samples (n, dim) of the density itself, without a chain; on a line and in the plane only."""
        return self.in_data(self._resolved().sample(n).to(self.spread))

    def noise_samples(self, n: int) -> Tensor:
        """n samples of the Gaussian that the energy is measured from, (n, *shape): where chains begin."""
        return self.in_data(self.unnormalised.reference(n))

    @torch.no_grad()
    def short_run(self, x: Tensor, transitions: int) -> Tensor:
        """Where plain chains are that began at x (n, *shape), after so many transitions of MALA: (n, *shape)."""
        return self.in_data(walk(MALA(), self.unnormalised, self.in_units(x), transitions, self.spread.new_zeros(4)).u)

    @torch.no_grad()
    def rolling(self, x: Tensor, times: Sequence[int]) -> Tensor:
        """The same after each number of transitions, in rising order: (times, n, *shape)."""
        u, tuning, done, path = self.in_units(x), self.spread.new_zeros(4), 0, []
        for time in times:
            for number in range(done, time):
                walked = walk(MALA(), self.unnormalised, u, 1, tuning, number)
                u, tuning = walked.u, walked.tuning
            done = time
            path.append(self.in_data(u))
        return torch.stack(path)

    # --- ln Z by chains --------------------------------------------------------------------------------------

    def partition(self, n: int) -> Tensor:
        """ln of n weights (n,) of annealed importance sampling, whose mean estimates Z without bias."""
        return self.sampler.log_weights(self.unnormalised, n)

    def partition_back(self, x: Tensor) -> Tensor:
        """ln of weights (n,), whose mean estimates 1/Z: of the way back of samples x (n, *shape) of the model."""
        return self.sampler.log_weights_back(self.unnormalised, self.in_units(x))

    def with_noise(self, x: Tensor) -> Tensor:
        """Examples as it was trained on them; those of points as they are."""
        return self._noisy(x)
