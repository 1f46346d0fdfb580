"""The autoencoder, the terms of the ELBO one by one, and which latent dimensions have collapsed."""

from types import SimpleNamespace

import pytest
import torch

from genexp.context import Context
from genexp.data.base import Batch, DataSpec
from genexp.data.images import ImageSet
from genexp.latent.objectives import ELBO
from genexp.measures import latents
from genexp.measures.collapse import collapsed_units
from genexp.registry import models

SPEC = DataSpec((6,), (), "unit")
SMALL = {"name": "mlp", "encoder_widths": [16], "decoder_widths": [16]}


def built(name: str, **keys):
    torch.manual_seed(0)
    model = models.build({"name": name, "latent": 3, "network": SMALL, **keys}, SPEC, Context())
    model.initialise(Batch(torch.rand(50, 6)))
    return model


def test_its_loss_is_minus_the_likelihood_at_the_code_and_without_chance() -> None:
    model, x = built("autoencoder").eval(), torch.rand(9, 6)
    with torch.no_grad():
        log_p = (x * model.decode(model.encode(x)).log() + (1 - x) * (1 - model.decode(model.encode(x))).log()).sum(1)
        assert float(model.loss(Batch(x))["loss"]) == pytest.approx(-float(log_p.mean()), abs=1e-5)
        assert torch.equal(model.draw_posterior(x), model.encode(x))


@pytest.mark.parametrize("keys", [{"noise": 0.5}, {"input_dropout": 0.5}])
def test_a_denoising_one_is_told_a_spoilt_example_and_asked_for_the_whole(keys: dict) -> None:
    model, x = built("autoencoder", **keys), torch.rand(900, 6)
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    loss = float(model.loss(Batch(x))["loss"].detach())
    with torch.no_grad():
        decoded = model.decoder(model.code(model.encoder(seen[0], x.new_empty(len(x), 0))), x.new_empty(len(x), 0))
    assert loss == pytest.approx(-float(model.likelihood.log_prob(x, decoded).mean()), rel=1e-5)
    if "noise" in keys:
        assert float((seen[0] - x).std()) == pytest.approx(0.5, rel=0.05)
    else:
        assert float((seen[0] == 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    model.eval()
    model.loss(Batch(x))
    assert torch.equal(seen[-1], x)


def test_new_codes_are_drawn_as_the_training_codes_lie() -> None:
    model, x = built("autoencoder").eval(), torch.rand(3_000, 6)
    with torch.no_grad():
        model.code.head.weight.mul_(30)
        model.code.head.bias.add_(5)
        model.conclude(Batch(x))
        z, drawn = model.encode(x), model.sample_latent(40_000)
    assert torch.allclose(drawn.mean(0), z.mean(0), atol=0.1)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(z.T), atol=0.06 * float(torch.cov(z.T).diagonal().max()))
    standard = built("autoencoder", codes="standard").eval()
    standard.conclude(Batch(x))
    assert torch.equal(standard.code_factor, torch.eye(3))


def test_a_posterior_is_drawn_from_and_a_code_is_its_mean() -> None:
    model = SimpleNamespace(encode=lambda x, label: torch.zeros(len(x), 2), draw_posterior=lambda x, label: torch.ones(len(x), 2))
    subject = SimpleNamespace(model=model, settings=SimpleNamespace(seed=0), device=torch.device("cpu"), found={})
    subject.test_part = ImageSet(torch.zeros(5, 1, 2, 2, dtype=torch.uint8))
    assert torch.equal(latents.drawn_latents(subject), torch.ones(5, 2))
    assert torch.equal(latents.test_latents(subject), torch.zeros(5, 2))


def test_each_term_alone_is_its_own_loss() -> None:
    x = torch.rand(20, 6)
    losses = {}
    for terms in ("both", "reconstruction", "kl"):
        model = built("vae", objective={"name": "elbo", "terms": terms})
        torch.manual_seed(1)
        found = model.loss(Batch(x))
        found["loss"].backward()
        found = {name: float(value.detach()) for name, value in found.items()}
        losses[terms] = found["loss"]
        assert found["loss"] == pytest.approx(found[{"both": "neg_elbo", "kl": "kl_to_prior"}.get(terms, terms)], rel=1e-5)
        moved = float(model.decoder.net[-1].weight.grad.abs().sum())
        assert (moved > 0) == (terms != "kl")  # nothing asks the decoder for anything
    assert losses["kl"] + losses["reconstruction"] == pytest.approx(losses["both"], rel=1e-5)


def test_warm_up_and_free_bits_change_what_is_trained_and_not_what_is_validated() -> None:
    """Two examples, three latents: at step 25 of 100 a quarter of β counts, and 0.1 nats of each latent cost nothing."""
    bound = SimpleNamespace(reconstruction=torch.tensor(7.0), kl=torch.tensor([0.05, 2.0]), latent=3)
    free = ELBO(beta=2.0, kl_warmup=100, free_bits=0.1)
    for step, weight in ((0, 0.0), (25, 0.5), (100, 2.0), (400, 2.0)):
        assert float(free.loss(bound, torch.tensor(step))) == pytest.approx(7 + weight * (0.15 + 2.0))
    assert float(free.validate(bound)) == pytest.approx(7 + 2 * 2.05)
    assert float(ELBO(beta=2.0, terms="kl").validate(bound)) == pytest.approx(2 * 2.05)
    assert float(ELBO(beta=2.0, terms="reconstruction").validate(bound)) == pytest.approx(7)


def test_a_dimension_whose_posterior_is_the_prior_has_collapsed() -> None:
    model = built("vae").eval()
    with torch.no_grad():
        head = model.posterior.head
        head.weight.zero_()
        head.bias.zero_()
        head.weight[0] = 5.0  # one dimension's mean follows x, the second has another variance than the prior, the third nothing
        head.bias[4] = -1.0
    subject = SimpleNamespace(model=model, can=model.can, found={}, device=torch.device("cpu"), test=Batch(torch.rand(100, 6)))
    assert collapsed_units(subject).value == 1
    assert "unit_kl" not in built("vae", posterior={"name": "iaf"}).can
