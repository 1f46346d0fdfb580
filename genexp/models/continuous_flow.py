"""`model=continuous_flow`: an ODE that moves noise into data, trained by its likelihood.

Sources: Grathwohl et al., FFJORD (2019); Finlay et al., How to Train Your Neural ODE (2020).
"""

from genexp.bijections.base import Base, bases
from genexp.bijections.continuous import Layers, OdeSolver, Steps, TimeWidth, continuous
from genexp.data.base import Batch, DataSpec, Terms
from genexp.models.flow import Flow
from genexp.nn.motion import SmoothActivation
from genexp.registry import Part, models
from genexp.settings import Weight, Width


@models.register("continuous_flow")
class ContinuousFlow(Flow):
    r"""dx/dt = v(x, t) from noise at t = 0 to data at t = 1, with ln p(x(1)) = ln p_base(x(0)) − ∫₀¹ div v dt.

    Trained by −E[ln p(x)] + kinetic · E ∫ |v|² / dim dt + jacobian · E ∫ ‖∂v/∂x‖² / dim dt, which keep ways straight, so that
    few steps follow them.

    In short:
        A velocity is learnt that carries noise into data along an ODE, by the likelihood of the data themselves; its
        divergence says how the density thins out on the way.

    Equation:
        \frac{dx}{dt} = v_θ(x, t), \qquad \ln p(x_1) = \ln p_{\mathrm{base}}(x_0) - \int_0^1 \nabla \cdot v_θ(x_t, t) \, dt

    Objective:
        \mathcal{L} = -\mathbb{E}[\ln p_θ(x)] + \mathbb{E} \int_0^1 \left( λ_{\mathrm{kin}} \frac{|v|^2}{D}
            + λ_{\mathrm{jac}} \frac{\|\partial v / \partial x\|^2}{D} \right) dt

    Args:
        width, hidden_layers, activation, time_width: of the velocity (`genexp.bijections.continuous`).
        solver, steps: by which it is followed.
        kinetic, jacobian: weights of the two terms, in the units that normalised data have.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1).
        base: the noise that samples begin from.

    Raises:
        UserError: data that are no points.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Width = 256,
        hidden_layers: Layers = 1,
        activation: SmoothActivation = "tanh",
        time_width: TimeWidth = 4,
        solver: OdeSolver = "rk4",
        steps: Steps = 8,
        kinetic: Weight = 0.0,
        jacobian: Weight = 0.0,
        normalise: bool = True,
        base: Part[Base] = bases.part("normal"),
    ) -> None:
        dim = spec.points("continuous_flow")
        ode = continuous(
            dim,
            0,
            width=width,
            hidden_layers=hidden_layers,
            activation=activation,
            time_width=time_width,
            solver=solver,
            steps=steps,
        )
        super().__init__(dim, [ode], base(dim), normalise)
        self.ode, self.kinetic, self.jacobian = ode, kinetic, jacobian

    def loss(self, batch: Batch) -> Terms:
        z = (batch.x - self.centre) / self.spread
        path = self.ode.follow(z, 1.0, 0.0, squares=self.jacobian > 0)
        nll = -(self.base.log_prob(path.end) + path.log_det - self.spread.log().sum()).mean()
        if not (self.kinetic or self.jacobian):
            return {"loss": nll}
        kinetic, jacobian = path.kinetic.mean(), path.jacobian.mean()
        terms = {"loss": nll + self.kinetic * kinetic + self.jacobian * jacobian, "nll": nll, "kinetic": kinetic}
        return {**terms, "jacobian": jacobian} if self.jacobian else terms

    def validate(self, batch: Batch) -> Terms:
        """−E[ln p(x)] alone."""
        return {"loss": -self.log_prob(batch.x).mean()}
