"""What a bijection is, and the kinds of parts that flows are put together from."""

from torch import Tensor, nn

from genexp.registry import Registry


class Bijection(nn.Module):
    """z = f(x) with f⁻¹: one layer of a flow, from data to noise.

    Told when built: `dim`, the number of features, and `layer`, its place in the flow, from 0 at the data. `exact`: whether
    ln |det| is, or an unbiased estimate. `error`: how far the inverse, or ln |det|, may be off in float64. `can_turn`: whether
    `solve_in_turn` changes anything. `smooth`: whether it has no kinks, wherever.
    """

    exact = True
    error = 1e-8
    can_turn = False
    smooth = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data → noise: z, (n, dim), and ln |det ∂z/∂x|, (n,)."""
        raise NotImplementedError

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Noise → data: x, (n, dim), and ln |det ∂x/∂z|, (n,)."""
        raise NotImplementedError

    def stages(self, z: Tensor) -> list[Tensor]:
        """Noise z on its way to data, (n, dim) each: where this bijection brings it, and before that what is worth a picture."""
        return [self.inverse(z)[0]]

    def initialise(self, x: Tensor) -> None:
        """Look once at data as they arrive here, (n, dim), before the first step. Most bijections need not."""

    def solve_in_turn(self) -> None:
        """From now on find features one after the other, where they would be found all at once, with the same result."""

    def before_step(self) -> None:
        """Follow the weights as the last step of training left them. Most bijections need not."""


class Transformer(nn.Module):
    """A monotone map of each feature by itself, under parameters that something else gives; parameters of zero are the identity.

    Told when built: nothing. `per_feature` is how many there are for each feature.
    """

    per_feature: int

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """x (n, d) under raw (n, d, per_feature): the image and ln of the slope of the map that was applied, both (n, d)."""
        raise NotImplementedError


class Conditioner(nn.Module):
    """A network from the features that stay, (n, inputs), to the parameters of those that move, (n, outputs); begins as zero.

    Told when built: `inputs` and `outputs`.
    """


class Base(nn.Module):
    """The noise that a flow begins from: a density with no free parameters but its own settings.

    Told when built: `dim`. `bounded`: whether there is none of it beyond some place.
    """

    bounded = False

    def log_prob(self, z: Tensor) -> Tensor:
        """ln p(z) in nats, (n, dim) → (n,)."""
        raise NotImplementedError

    def sample(self, n: int) -> Tensor:
        """n points, (n, dim), on the device and in the digits of the flow."""
        raise NotImplementedError


class Function(Bijection):
    """A bijection without weights, of each feature by itself. Told when built: nothing. `forward` is f⁻¹, as of every bijection
    here: x = f(z) is what its `inverse` gives.
    """


bijections = Registry("bijection", "genexp.bijections", Bijection)
transformers = Registry("transformer", "genexp.bijections", Transformer)
conditioners = Registry("conditioner", "genexp.bijections", Conditioner)
bases = Registry("base", "genexp.bijections", Base)
functions = Registry("function", "genexp.bijections", Function)
