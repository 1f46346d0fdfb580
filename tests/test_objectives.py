"""What a VAE is charged for beyond the ELBO: discrepancies, total correlations and density ratios, against closed forms."""

import math
from itertools import combinations

import pytest
import torch
from torch import nn

from genexp.data.base import Batch, DataSpec
from genexp.divergences.mmd import SCALES, squared_discrepancy
from genexp.errors import UserError
from genexp.latent.base import Bound
from genexp.latent.density_ratio import FactorVAE, permuted
from genexp.latent.discrepancy import WAE, InfoVAE
from genexp.latent.importance import Importance
from genexp.latent.objectives import ELBO
from genexp.latent.total_correlation import BetaTCVAE, decompose, log_pairs, log_shares
from tests.parts import latent, mlp, vae

STEP = torch.tensor(1)


def bound(z: torch.Tensor, parameters: torch.Tensor | None = None) -> Bound:
    """Of these z (n, latent), with made-up densities."""
    log_posterior = torch.zeros(len(z)) if parameters is None else log_pairs(parameters, z).diagonal().sum(0)
    drawn = Importance(z[None], -torch.rand(1, len(z)), torch.randn(1, len(z)), log_posterior[None])
    return Bound(drawn, torch.rand(z.shape[1]), z.shape[1], parameters, lambda n: torch.randn(n, z.shape[1]))


def test_the_discrepancy_of_gaussians_is_the_closed_one() -> None:
    """E k(x, y) of N(m, a) and N(0, b) under exp(−r²/2l) is (l/(l + a + b))^(d/2) exp(−m²/2(l + a + b))."""
    torch.manual_seed(0)
    shift, spread = torch.tensor([0.6, -0.3, 0.0]), 0.5

    def mean(a: float, b: float, m2: float) -> float:
        lengths = [6 * scale for scale in SCALES]
        return sum((k / (k + a + b)) ** 1.5 * math.exp(-m2 / 2 / (k + a + b)) for k in lengths) / 3

    exact = mean(spread**2, spread**2, 0) + mean(1, 1, 0) - 2 * mean(spread**2, 1, float(shift.square().sum()))
    z, y = shift + spread * torch.randn(30, 300, 3), torch.randn(30, 300, 3)
    found = torch.stack([squared_discrepancy(*pair, "gaussian") for pair in zip(z, y, strict=True)])
    assert float(found.mean()) == pytest.approx(exact, abs=4 * float(found.std()) / 30**0.5)
    assert float(found.std()) / 30**0.5 < 0.02 * exact


def test_a_discrepancy_of_classes_is_of_the_first_points_of_a_large_batch_and_of_their_labels() -> None:
    spec = DataSpec((1, 4, 4), kind="unit", classes=("a", "b"))
    model = vae(spec, latent=2, conditional=True, network=mlp(4), objective="wae", prior="mixture")
    label = torch.arange(2_500) % 2
    terms = model.loss(Batch(torch.rand(2_500, 1, 4, 4), label))
    assert math.isfinite(float(terms["loss"].detach()))


def test_a_divergence_that_samples_put_below_zero_is_not_cut_off() -> None:
    """Else the mean of the objective is above that of the bound."""
    made = bound(torch.randn(6, 2))
    made.kl.copy_(torch.tensor([0.5, -0.2]))
    for value in (ELBO().validate(made), ELBO().loss(made, STEP)):
        assert float(value - made.reconstruction) == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize("kernel", ["gaussian", "inverse_multiquadratic"])
def test_two_samples_of_one_distribution_differ_by_nothing_on_average(kernel: str) -> None:
    torch.manual_seed(1)
    found = torch.stack([squared_discrepancy(torch.randn(8, 2), torch.randn(8, 2), kernel) for _ in range(600)])  # type: ignore[arg-type]
    assert abs(float(found.mean())) < 4 * float(found.std()) / 600**0.5
    assert float(squared_discrepancy(torch.randn(1, 2), torch.randn(1, 2), kernel)) < 1  # type: ignore[arg-type]


def test_the_inverse_multiquadratic_kernel_is_what_it_says() -> None:
    z, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])
    far, near = ([2 * s / (2 * s + r2) for s in SCALES] for r2 in (4, 1))
    assert float(squared_discrepancy(z, y, "inverse_multiquadratic")) == pytest.approx((sum(far) - 2 * sum(near)) / 3 + 1)


def test_objectives_are_the_elbo_where_theory_says() -> None:
    torch.manual_seed(0)
    parameters, space = torch.randn(12, 6), latent(3)
    made = bound(torch.randn(12, 3), parameters)
    elbo = float(ELBO().validate(made))
    tcvae = BetaTCVAE(space, beta=1.0)
    tcvae.initialise(torch.zeros(40, 1))
    assert float(tcvae.validate(made)) == pytest.approx(elbo, rel=1e-6)
    assert float(FactorVAE(space, gamma=0.0).validate(made)) == pytest.approx(elbo, rel=1e-6)
    assert float(InfoVAE(alpha=0.0, scale=1.0).validate(made)) == pytest.approx(elbo, rel=1e-6)
    wae = float(WAE(scale=7.0).validate(made))
    assert wae == pytest.approx(float(made.reconstruction + 7 * made.noted["mmd"]), rel=1e-5)
    info = float(InfoVAE(alpha=0.25, scale=7.0).validate(made))
    assert info == pytest.approx(float(made.reconstruction + 0.75 * made.kl.sum() + 6.25 * made.noted["mmd"]), rel=1e-5)
    weighed = BetaTCVAE(space, alpha=0.5, beta=4.0, gamma=2.0)
    weighed.initialise(torch.zeros(40, 1))
    extra = float(weighed.validate(made)) - elbo
    noted = [float(made.noted[name]) for name in ("mutual_information", "total_correlation", "dimension_kl")]
    assert extra == pytest.approx(-0.5 * noted[0] + 3 * noted[1] + noted[2], rel=1e-4)
    kl = made.drawn.log_posterior - made.drawn.log_prior
    assert sum(noted) == pytest.approx(float(kl.mean()), rel=1e-4)  # the parts of one whole


def test_the_parts_of_the_kl_of_a_known_gaussian() -> None:
    """z = x + s ε with s² = 0.2 and x ~ N(0, Σ − s²): q(z) = N(0, Σ), whose total correlation is −½ ln (1 − ρ²)."""
    torch.manual_seed(0)
    covariance = torch.tensor([[1.5, 0.9], [0.9, 1.0]], dtype=torch.float64)
    factor = torch.linalg.cholesky(covariance - 0.2 * torch.eye(2))
    x = torch.randn(2_500, 2, dtype=torch.float64) @ factor.T
    parameters = torch.cat([x, torch.full_like(x, math.log(0.2))], dim=1)
    z = (x + 0.2**0.5 * torch.randn_like(x))[:1000]
    own = -0.5 * ((z - x[:1000]).square().sum(1) / 0.2 + 2 * math.log(2 * math.pi * 0.2))
    prior = -0.5 * z.square().sum(1) - math.log(2 * math.pi)
    parts = decompose(parameters, z, own, prior, torch.full((1, 1), -math.log(2_500), dtype=torch.float64))
    exact = {
        "mutual_information": 0.5 * math.log(float(torch.linalg.det(covariance)) / 0.2**2),
        "total_correlation": -0.5 * math.log(1 - 0.81 / 1.5),
        "dimension_kl": 0.5 * (1.5 - 1 - math.log(1.5)),
    }
    for name, value in exact.items():
        found = getattr(parts, name)
        assert float(found.mean()) == pytest.approx(value, abs=4 * float(found.std()) / 1000**0.5 + 0.02), name


def test_shares_of_a_batch_are_unbiased_for_the_aggregate_posterior() -> None:
    """Of all batches that z's own example is in, the mean estimate of q(z) is the mean over all examples."""
    torch.manual_seed(0)
    parameters, z = torch.randn(6, 4), torch.randn(1, 2)
    density = log_pairs(parameters, z).sum(-1).exp()[0]  # of z under each
    shares = log_shares(3, 6, "stratified", torch.device("cpu"))[0].exp()
    batches = [[0, *others] for others in combinations(range(1, 6), 2)]
    mean = sum(float(shares @ density[batch]) for batch in batches) / len(batches)
    assert mean == pytest.approx(float(density.mean()), rel=1e-5)
    assert torch.allclose(log_shares(3, 6, "weighted", torch.device("cpu")).exp(), torch.full((3, 3), 1 / 18))
    assert torch.isfinite(log_shares(1, 1, "stratified", torch.device("cpu"))).all()


def test_only_gaussian_posteriors_have_parts() -> None:
    with pytest.raises(UserError, match="Gaussian posteriors"):
        vae(DataSpec((3,)), likelihood="gaussian", objective="beta_tcvae", posterior="iaf")


# --- the discriminator -----------------------------------------------------------------------------------------------


class Ratio(nn.Module):
    """a · ln q(z)/Π q(z_d) + c of a Gaussian of unit variances and correlation ρ."""

    def __init__(self, rho: float) -> None:
        super().__init__()
        self.rho, self.a, self.c = rho, nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        u, v = z.T
        square = (u.square() - 2 * self.rho * u * v + v.square()) / (1 - self.rho**2) - u.square() - v.square()
        return (self.a * (-0.5 * math.log(1 - self.rho**2) - 0.5 * square) + self.c)[:, None]


def test_the_discriminators_optimum_is_the_density_ratio() -> None:
    """There its loss is stationary, and its mean is the total correlation; elsewhere neither."""
    torch.manual_seed(0)
    objective, n = FactorVAE(latent(2), gamma=3.0), 40_000
    u = torch.randn(n, 2)
    z = torch.stack([u[:, 0], 0.8 * u[:, 0] + 0.6 * u[:, 1]], dim=1)
    for rho, optimum in ((0.8, True), (-0.8, False), (0.2, False)):
        objective.discriminator = Ratio(rho)
        made = bound(z)
        loss = objective.loss(made, STEP)
        loss.backward()
        slopes = torch.stack([objective.discriminator.a.grad, objective.discriminator.c.grad])
        assert bool((slopes.abs() < 0.005).all()) == optimum
        if optimum:
            assert float(made.noted["total_correlation"]) == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.02)
            whole = ELBO().validate(made) + 3 * made.noted["total_correlation"]
            assert float(objective.validate(made)) == pytest.approx(float(whole), rel=1e-6)
            assert loss.item() == pytest.approx((whole + made.noted["discriminator"]).item(), rel=1e-6)


def test_what_moves_the_encoder_and_what_moves_the_discriminator() -> None:
    """Each by its own loss alone, in one step."""
    found = {}
    for gamma in (1.0, 50.0):
        torch.manual_seed(0)
        objective = FactorVAE(latent(2), gamma=gamma, width=8)
        z = torch.randn(64, 2, requires_grad=True)
        objective.loss(bound(z), STEP).backward()
        found[gamma] = z.grad, [weights.grad for weights in objective.discriminator.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(found[1.0][1], found[50.0][1], strict=True))
    assert torch.allclose(50 * found[1.0][0], found[50.0][0], rtol=1e-4)
    ratio = torch.autograd.grad(objective.discriminator(z).mean(), z)[0]
    assert torch.allclose(found[1.0][0], ratio, atol=1e-7)


def test_permuted_latents_have_the_marginals_and_nothing_else() -> None:
    torch.manual_seed(0)
    z = torch.randn(4000, 1).expand(-1, 3) * torch.tensor([1.0, 2.0, 3.0])
    other = permuted(z)
    assert torch.equal(other.sort(0).values, z.sort(0).values)
    assert float(torch.corrcoef(other.T).triu(1).abs().max()) < 0.08


def test_a_training_with_a_discriminator_goes_on_from_what_is_saved() -> None:
    """All that the next step depends on is among the weights."""
    batch, found = Batch(torch.rand(16, 3)), []
    saved: dict[str, torch.Tensor] = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = vae(DataSpec((3,), kind="unit"), objective={"name": "factor_vae", "width": 8})
        saved = saved or model.state_dict()
        model.load_state_dict(saved)
        torch.manual_seed(2)
        model.loss(batch)["loss"].backward()
        found.append({name: weights.grad for name, weights in model.named_parameters()})
    assert sum("discriminator" in name for name in found[0]) == 8
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_terms_are_logged_and_how_many_examples_there_are_is_kept() -> None:
    spec = DataSpec((3,), kind="unit")
    for name, terms in (
        ("wae", {"mmd"}),
        ("factor_vae", {"total_correlation", "discriminator"}),
        ("beta_tcvae", {"dimension_kl"}),
    ):
        torch.manual_seed(0)
        model = vae(spec, objective=name)
        batch = Batch(torch.rand(20, 3))
        model.initialise(batch)
        assert terms | {"loss", "neg_elbo", "kl_to_prior", "reconstruction"} <= {*model.loss(batch)}
        assert terms - {"discriminator"} <= {*model.eval().validate(batch)}
    assert int(model.state_dict()["training_objective.examples"]) == 20
