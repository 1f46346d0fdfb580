"""The autoregressive bijection that sees the noise: noise → data takes one pass, data → noise one for each feature.

    z_i = T(x_i; c_i(z_1 … z_i−1)),      x_i = T⁻¹(z_i; c_i(z_1 … z_i−1)).

It differs from `autoregressive` by what the parameters depend on, the noise found so far in place of the data so far, and by
nothing else. The usual form x_i = z_i exp(s_i) + m_i, with T the map from noise to data, is as rich, but its likelihood
is one of (x_i − m_i) exp(−s_i): where few data are, the two factors grow together, layer upon layer, and ln p(x) falls to −10⁷ in
places where the data still have a density of 10⁻⁵.

Source: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow (2016).
"""

from torch import Tensor

from genexp.bijections.autoregressive import Autoregressive
from genexp.bijections.base import bijections


@bijections.register("inverse_autoregressive")
class InverseAutoregressive(Autoregressive):
    """Each feature from the noise up to it: fast samples, slow likelihoods.

    Args:
        width, hidden_layers, activation: of the masked network's hidden layers.
        solver: of data → noise: `sequential`, or all features at once (`jacobi`), with the same result.
        transformer: the map of each feature.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_slope = self.solve(self, self.turn(x), False)
        return self.turn(z), log_slope.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        z = self.turn(z)
        x, log_slope = self.move(z, seen=z, inverse=True)
        return self.turn(x), log_slope.sum(1)
