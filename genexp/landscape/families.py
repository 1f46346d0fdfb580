"""The families of models, told by what a model declares: a new member belongs to one without being named here."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

Kind = Literal["exact", "estimate", "bound", "none"]  # what is said of ln p(x)


@dataclass(frozen=True)
class Family:
    """A family: what it is called, the number of its colour in the palette, and how it comes by a density."""

    title: str
    colour: int
    words: str


FLOWS = Family("normalising flows", 0, "a bijection and the logarithm of its determinant")
AUTOREGRESSIVE = Family("autoregressive models", 3, "each number given the ones before it")
LATENT = Family("latent variables", 2, "an integral over what is not seen, bounded")
DIFFUSION = Family("diffusion and flow matching", 1, "a velocity from noise to data, and its ODE")
ENERGY = Family("energies", 5, "a density up to its integral; samples by chains")
MIXTURES = Family("mixtures and Gaussians", 4, "closed forms, fitted without gradients")
OTHER = Family("other", 8, "no density of its own")
FAMILIES = (FLOWS, AUTOREGRESSIVE, DIFFUSION, ENERGY, LATENT, MIXTURES, OTHER)


@dataclass(frozen=True)
class Declared:
    """What a run's model said of itself: abilities, what its loss is, how it is fitted, and how many numbers its latents are."""

    can: frozenset[str] = frozenset()
    objective: str = "other"
    fitter: str = "gradient"
    latent: int | None = None

    @property
    def family(self) -> Family:
        can = self.can
        tests = (
            ("autoregressive" in can, AUTOREGRESSIVE),
            ("gaussians" in can or self.fitter == "em" or (self.fitter == "none" and "exact" in can), MIXTURES),
            (bool({"diffusion", "velocity"} & can) or self.objective == "flow_matching", DIFFUSION),
            ("energy" in can, ENERGY),
            (bool({"latents", "codes"} & can), LATENT),
            (bool({"layers", "reversible", "dequantised"} & can), FLOWS),
        )
        return next((family for holds, family in tests if holds), OTHER)

    @property
    def likelihood(self) -> Kind:
        """Of the data themselves: that of greys with noise bounds the probability of the greys."""
        if "dequantised" in self.can or ("exact" not in self.can and "estimate" not in self.can and "bound" in self.can):
            return "bound"
        return next((kind for kind in ("exact", "estimate") if kind in self.can), "none")  # type: ignore[return-value]

    def latents(self, dim: int) -> str:
        """Of what dimension they are, and how an example is brought there; `dim`: that of the data."""
        if "codes" in self.can:
            return "symbols, encoder"
        if "latents" in self.can:
            way = "encoder" if "posterior" in self.can or "pairs" not in self.can else "no encoder"
            return f"{self.latent}, {way}" if self.latent else way
        if {"layers", "reversible", "velocity"} & self.can:
            return f"{dim}, exact inverse"
        return "which component" if "gaussians" in self.can else "none"


def declared(words: object) -> Declared | None:
    """What run.json says of the model; None of a run of an earlier version."""
    if not isinstance(words, dict) or not isinstance(words.get("can"), list):
        return None
    latent = words.get("latent")
    return Declared(
        frozenset(map(str, words["can"])),
        str(words.get("objective")),
        str(words.get("fitter")),
        latent if isinstance(latent, int) else None,
    )


def from_model(model: object) -> Declared:
    """The same of a model that was built again."""
    can: Set[str] = getattr(model, "can", frozenset())
    latent = getattr(model, "latent", None)
    return Declared(
        frozenset(can),
        getattr(model, "objective", "other"),
        getattr(model, "fitter", "gradient"),
        latent if isinstance(latent, int) else None,
    )
