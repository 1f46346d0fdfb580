"""The words by which a model declares what it can do, and a data set what is known of it.

What is measured, drawn, sampled and refused follows from these words alone: nobody asks a model for its class or its methods.
A need is a word, or several of which one is enough: `exact|estimate`.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Literal, get_args

Ability = Literal[
    "sample",
    "exact",
    "estimate",
    "bound",
    "refined",
    "closely",
    "smooth",
    "layers",
    "gaussians",
    "velocity",
    "latents",
    "plane",
    "posterior",
    "pairs",
    "prior",
    "posterior_flow",
    "mixed_posterior",
    "linear",
    "codes",
    "unit_kl",
    "latent_layers",
    "exemplars",
    "classes",
    "bits",
    "stages",
    "dequantised",
    "chains",
    "local_moves",
    "weighted",
    "both_divergences",
    "in_turn",
    "autoregressive",
    "orderings",
    "discrete",
    "attention",
    "terms",
    "energy",
    "diffusion",
    "reversible",
    "scales",
    "trial",
    "altered",
]
ABILITIES: dict[Ability, str] = {
    "sample": "sample(n): new examples, (n, *shape)",
    "exact": "log_prob(x): ln p(x) in nats, (n,), exactly",
    "estimate": "log_prob(x): an unbiased estimate of ln p(x)",
    "bound": "its objective, or another number of its own, bounds ln p(x) from below",
    "refined": "refined_log_prob(x, k): ln p(x) by an ODE in k times as many steps",
    "closely": "sample_closely(n, k): samples along the very steps of refined_log_prob(x, k), whose density that is",
    "smooth": "log_prob(x): without kinks or jumps, so that a grid of few points integrates it, too",
    "layers": "a bijection in layers: sample_base(n), layers(z), transform(x), inverse(z)",
    "gaussians": "gaussians(): the Gaussians that p(x) is a mixture of, weights (k,), means (k, dim), covariances (k, dim, dim)",
    "velocity": "velocity(x, t), trajectory(x0, frames): noise is moved into data, t from 0 to 1",
    "latents": "encode(x, label), decode(z, label), draw_posterior(x, label), latent: their dimension, and its likelihood p(x|z)",
    "plane": "latents of two dimensions",
    "posterior": "infer(x, label), importance(x, label, k, parameters): an approximate posterior q(z|x)",
    "pairs": "log_likelihoods(x, z): ln p(x_i|z_j) of all pairs, under the prior N(0, I) of a plane",
    "prior": "sample_latent(n, label=…): latents from a prior of its own",
    "posterior_flow": "posterior.push(z, context): the posterior is noise that went through a flow",
    "mixed_posterior": "posterior.gaussians(parameters): the Gaussians that q(z|x) is a mixture of, and ln of their weights",
    "unit_kl": "unit_kl(x, label): KL(q(z|x) ‖ p(z)) of each latent dimension in closed form, (n, latent)",
    "latent_layers": "posterior.layer_kl(z, parameters), descend(…): latents in layers, p(z) and q(z|x) from the last one down",
    "codes": "codes(x): symbols k (n, *grid) of `symbols` kinds; decode_codes(k), log_likelihood(x, k), log_prior(k)",
    "linear": "linear(): W, b and σ² of x = Wz + b + σε, z ~ N(0, I); and q(z|x) is a Gaussian, infer(x) its μ and ln s²",
    "exemplars": "crossed(x): latents of each example i as the training example that stands for j shows it, (i, j, latent)",
    "classes": "conditional: sample(n, label) and everything else is given the class",
    "bits": "stream(seed): numbers of a source of random bits, of which `tested` are put to the tests",
    "dequantised": "log_prob(x): of pictures whose greys, of so many levels, have noise as wide as the step from one to the next",
    "chains": "draws(): what Markov chains passed through, (chains, draws, *shape), and `tally`, what became of their proposals",
    "local_moves": "chains that also jump: alone(steps, log_density), the local moves by themselves from the same places",
    "weighted": "log_weight: ln of the weights of its own points, (n,), whose mean estimates the integral of the density",
    "both_divergences": "forward_kl, reverse_kl: Gaussians of independent coordinates, mean and log_std, each trained by that",
    "autoregressive": "nats(x), complete(x, known), order: ln p(x) is the sum of those of each number, given the ones before it",
    "orderings": "in_ordering(order): the same model in another order (dim,); ordering(k), of which it is trained in `orderings`",
    "discrete": "log_prob(x) is the probability of whole numbers (greys, bits, symbols), and no density",
    "attention": "attention(x): which places each place looks at, (layers, n, heads, dim, dim)",
    "terms": "shares(x): how much of each number's probability is the network's and each table's, (n, dim, terms)",
    "energy": "energy(x): −ln p(x) up to ln Z; short_run(x, k), partition(n), partition_back(x): chains, and what they tell of Z",
    "diffusion": "denoised(m, tau), walk(noise), sampler, schedule: noise is removed step by step, by any sampler",
    "reversible": "pictures by a bijection: transform(x): z (n, dim); inverse(z), pictures(z); sample_base(n), noise(x)",
    "scales": "sizes: how many numbers of z are of each scale, the coarsest first",
    "stages": "transform: from uniform numbers to points of a known distribution, step by step",
    "trial": "ladder, deal(n), made_by(failure, …): samplers that fail in known ways, made of dealt-out examples",
    "altered": "ends: how far a copy of the data is altered; apart, dimensions, sizes, repeats: of estimates between Gaussians",
    "in_turn": "in_turn(): the same model, which finds features one after the other where it would find them all at once",
}

Known = Literal[
    "points",
    "pictures",
    "classes",
    "line",
    "plane",
    "examples",
    "drawn",
    "target",
    "log_density",
    "log_z",
    "density",
    "box",
    "covariance",
    "sampler",
    "modes",
    "distances",
    "marginal",
    "bridge",
    "cells",
    "edges",
    "code",
    "units",
    "levels",
    "lattice",
    "teacher",
    "binarised",
    "tokens",
    "decoder",
    "text",
    "factors",
    "gaussian_classes",
]
KNOWN: dict[Known, str] = {
    "points": "examples are points, (dim,)",
    "pictures": "examples are pictures, (channels, height, width)",
    "classes": "each example has a class",
    "line": "points of one dimension",
    "plane": "points of two dimensions",
    "examples": "finitely many: train, validation, test",
    "drawn": "there are examples: any data set that is no target",
    "target": "no examples, only log_density",
    "log_density": "log_density(x): ln p(x) up to a constant",
    "log_z": "log_z: that constant",
    "density": "density: log_prob(x), entropy",
    "box": "density: box(), which holds its mass, and quadrature(side, low, high) over it",
    "covariance": "density: one Gaussian, of that covariance, (dim, dim)",
    "sampler": "density: sample(n), exact samples, of a target too",
    "modes": "density: mode_masses, of its modes, and mode_shares(x), how many of the points x are in each",
    "distances": "density: two peaks in each coordinate, at ± distance, and the best Gaussians there",
    "marginal": "marginal: two of many coordinates that tell most, their own density, and a window of them",
    "bridge": "bridge: a strip of the plane between the peaks, and density.strip_mass(low, high)",
    "cells": "density: uniform over cells, with the optimal velocity in closed form",
    "edges": "density: with jumps, so that ln p has no gradient to follow",
    "code": "payload: what a reader of barcodes should find in the samples",
    "units": "units: the numbers are the user's own, brought to mean 0 and standard deviation 1",
    "teacher": "teacher: the run whose model is their density",
    "levels": "levels: so many whole numbers, made continuous in [0, 1] by uniform noise",
    "lattice": "a point is a field on a periodic square lattice, row by row: side, action(x), force(x), and whether it is free",
    "binarised": "draw: how pictures became zeros and ones, which stands in the names of their likelihoods",
    "decoder": "symbols that stand for pictures: decode(k), reconstruction(n): −ln p(x|k) of the first n test pictures",
    "tokens": "examples are sequences of symbols, (length,)",
    "factors": "factors: what varies in the examples, and test_factors: its values in each of the test examples, (n, factors)",
    "gaussian_classes": "each class is a Gaussian: density.weights, means and factors, of all of them in turn",
    "text": "passages of a text, whose characters spec.alphabet has; train_text, test_text: the parts in one piece",
}

Objective = Literal["nll", "bound", "flow_matching", "reverse_kl", "alpha", "other"]  # what a model's loss is


def known_of(declared: Set[str]) -> frozenset[str]:
    """What is known of data that declare so much: what follows from the words is added to them."""
    follows = set() if "target" in declared else {"drawn"}
    if "density" in declared and not {"cells", "edges"} & declared:  # it is smooth, and normalised
        follows |= {"log_density", "log_z", "sampler"}
    return frozenset(declared) | follows


Learns = Literal["examples", "density", "both"]  # what a loss asks of a batch: x, log_density


@dataclass(frozen=True)
class Needs:
    """What something asks of a model, of the data and of the objective; without words, nothing."""

    model: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    objective: Objective | None = None

    @classmethod
    def of(cls, model: Iterable[str] = (), data: Iterable[str] = (), objective: Objective | None = None) -> "Needs":
        """ValueError where a word is none of the words."""
        for needs, words in ((model := frozenset(model), get_args(Ability)), (data := frozenset(data), get_args(Known))):
            unknown = [word for need in needs for word in need.split("|") if word not in words]
            if unknown:
                raise ValueError(f"'{unknown[0]}' is none of {', '.join(words)}")
        return cls(model, data, objective)

    def met(self, can: Set[str], knows: Set[str], objective: str) -> bool:
        """Whether a model that `can`, on data of which one `knows`, has all that is needed."""
        pairs = [*((need, can) for need in self.model), *((need, knows) for need in self.data)]
        declared = all(any(word in words for word in need.split("|")) for need, words in pairs)
        return declared and self.objective in (None, objective)


NOTHING = Needs()
