"""The codebook, and the VQ-VAE's bound in nats."""

import json
import math
from types import SimpleNamespace

import pytest
import torch

from genexp.context import Context
from genexp.data.base import Batch, DataSpec
from genexp.data.codes import Codes
from genexp.errors import UserError
from genexp.latent.codebook import Codebook
from genexp.measures import codes
from genexp.measures.codes import perplexity, used_codes
from genexp.measures.floors import Known, known
from genexp.registry import datasets, models

SPEC = DataSpec((1, 8, 8), (), "bits")


def clouds(n: int = 300) -> torch.Tensor:
    """Points about four corners."""
    corners = torch.tensor([[4.0, 4], [4, -4], [-4, 4], [-4, -4]])
    return corners[torch.arange(n) % 4] + 0.1 * torch.randn(n, 2)


def test_it_begins_as_k_means_with_the_counts_of_that() -> None:
    torch.manual_seed(0)
    book, x = Codebook(4, 2, 0.9), clouds()
    book.begin(x)
    index = book.nearest(x)
    for k in range(4):
        assert torch.allclose(book.vectors[k], x[index == k].mean(0), atol=1e-5)
        assert float(book.counts[k]) == int((index == k).sum())
    before = book.vectors.clone()
    book.learn(clouds(40), book.nearest(clouds(40)))  # a tenth of the weight: with counts of one, a new batch would be all of it
    book.learn(x, book.nearest(x))
    assert float((book.vectors - before).abs().max()) < 0.05


def test_a_step_is_a_running_mean() -> None:
    torch.manual_seed(1)
    book, x = Codebook(4, 2, 0.9), clouds()
    book.begin(x)
    counts, sums, new = book.counts.clone(), book.sums.clone(), clouds() + 1
    index = book.nearest(new)
    book.learn(new, index)
    for k in range(4):
        mine = new[index == k]
        expected = (0.9 * sums[k] + 0.1 * mine.sum(0)) / (0.9 * counts[k] + 0.1 * len(mine))
        assert torch.allclose(book.vectors[k], expected, atol=1e-5)


def test_a_code_that_nothing_is_near_to_is_put_where_something_is() -> None:
    torch.manual_seed(2)
    book, x = Codebook(4, 2, 0.5), clouds()
    book.begin(x)
    book.vectors[0] = book.sums[0] = 1e3
    book.counts[0] = 1.0
    for _ in range(40):
        book.learn(x, book.nearest(x))
    assert float(book.vectors.abs().max()) < 6
    assert len(book.nearest(x).unique()) == 4


def test_dead_codes_go_where_the_codes_are_far_with_little_weight() -> None:
    """Two of three codes lie among most of the points; the third, far from all of them, goes to the few others."""
    torch.manual_seed(3)
    few = 0.1 * torch.randn(4, 2) + torch.tensor([50.0, 0])
    book, x = Codebook(3, 2, 0.9), torch.cat([0.1 * torch.randn(396, 2) + torch.tensor([1.0, 0]), few])
    book.vectors.copy_(torch.tensor([[1.0, 0], [1.0, 0.1], [-1e3, 0]]))
    book.counts.copy_(torch.tensor([200.0, 200, 0]))
    book.sums.copy_(book.vectors * book.counts[:, None])
    book.learn(x, book.nearest(x))
    assert float((book.vectors[2] - few).square().sum(1).amin()) < 1e-6
    assert float(book.counts[2]) == pytest.approx(2 * 0.05 * 400 / 3)
    assert torch.allclose(book.sums[2] / book.counts[2], book.vectors[2])


def built(**keys):
    torch.manual_seed(0)
    model = models.build({"name": "vq_vae", "codes": 3, "dim": 2, "width": 8, "warmup": 0, **keys}, SPEC, Context())
    model.initialise(Batch(torch.bernoulli(torch.full((64, 1, 8, 8), 0.4))))
    return model


def test_the_bound_is_one_as_all_pictures_of_all_codes_make_a_distribution() -> None:
    """Σ_k P(k) = 1 over the grid, so that P(k) p(x|k) is a joint probability, and −ln of it bounds −ln p(x)."""
    model = built().eval()
    x = torch.bernoulli(torch.full((200, 1, 8, 8), 0.4))
    model.conclude(Batch(x))
    every = torch.cartesian_prod(*[torch.arange(3)] * 4).view(-1, 2, 2)
    assert float(model.log_prior(every).double().exp().sum()) == pytest.approx(1, abs=1e-5)
    index = model.codes(x)
    joint = torch.stack([model.log_prior(k[None]) + model.log_likelihood(x, k.expand(200, 2, 2)) for k in every])
    own = model.log_prior(index) + model.log_likelihood(x, index)
    assert bool((own <= joint.logsumexp(0) + 1e-4).all())
    counts = torch.stack([(index[:, 0, 1] == k).sum() for k in range(3)])
    assert torch.allclose(model.log_p[0, 1].exp(), (counts + 1) / 203)


def test_the_gradient_passes_the_code_as_if_it_were_the_encoders() -> None:
    model = built(commitment=0.0).eval()
    batch = Batch(torch.bernoulli(torch.full((16, 1, 8, 8), 0.4)))
    model.loss(batch)["loss"].backward()
    assert float(model.encoder[0].weight.grad.abs().sum()) > 0
    vectors = model.codebook.vectors.clone()
    model.train()
    model.loss(batch)
    assert not torch.equal(vectors, model.codebook.vectors)


def test_codes_begin_after_the_warm_up_where_the_encoder_then_puts_pictures() -> None:
    """Until then h itself is decoded, and nothing is charged; the places h have mean 0 and variance 1 all along."""
    torch.manual_seed(1)
    model, batch = built(warmup=2), Batch(torch.bernoulli(torch.full((64, 1, 8, 8), 0.4)))
    before = model.codebook.vectors.clone()
    for _ in range(2):
        terms = model.loss(batch)
        h = model.encoder(batch.x)
        assert terms["loss"].item() == terms["reconstruction"].item()
        exact = -model.likelihood.log_prob(batch.x, model.decoder(h)).mean()
        assert terms["loss"].item() == pytest.approx(exact.item(), rel=1e-5)
        assert torch.equal(model.codebook.vectors, before)
    assert torch.allclose(h.mean((0, 2, 3)), torch.zeros(2), atol=1e-4)
    assert torch.allclose(h.var((0, 2, 3), correction=0), torch.ones(2), atol=0.05)
    with torch.no_grad():
        model.encoder[0].weight.neg_()  # it has moved far
    terms, rows = model.loss(batch), model._rows(model.encoder(batch.x))
    assert terms["distance"].item() > 0
    assert float(model.codebook.counts.sum()) == pytest.approx(len(rows), rel=1e-3)
    means = torch.stack([rows[model.codebook.nearest(rows) == k].mean(0) for k in range(3)])
    assert torch.allclose(model.codebook.vectors, means.detach(), atol=0.1)


def test_codes_begin_at_the_end_of_a_training_that_ended_before() -> None:
    model, x = built(warmup=100), torch.bernoulli(torch.full((200, 1, 8, 8), 0.4))
    model.eval()
    with torch.no_grad():
        model.encoder[0].weight.neg_()
        model.conclude(Batch(x))
        rows = model._rows(model.encoder(x))
    assert len(model.codes(x).unique()) == 3
    assert float(model.codebook.counts.sum()) == pytest.approx(len(rows), rel=0.1)
    assert torch.allclose(model.log_p.exp().sum(-1), torch.ones(2, 2), atol=1e-5)


def test_what_is_far_from_its_code_costs_beta_times_the_squared_distance() -> None:
    model, batch = built(commitment=0.7).eval(), Batch(torch.bernoulli(torch.full((16, 1, 8, 8), 0.4)))
    with torch.no_grad():
        model.encoder[-1].running_var.mul_(1e-4)  # h far from its code, so that what is decoded is seen to be the code
        found, h = model.loss(batch), model.encoder(batch.x)
    nearest = (h[:, :, None] - model.codebook.vectors.T[:, :, None, None]).square().sum(1).amin(1)  # (n, 2, 2)
    assert float(found["distance"]) == pytest.approx(float(nearest.sum((1, 2)).mean()), rel=1e-4)
    error = -float(model.log_likelihood(batch.x, model.codes(batch.x)).mean())
    assert float(found["loss"]) == pytest.approx(error + 0.7 * float(found["distance"]), rel=1e-5)


def test_each_place_of_a_sample_has_codes_of_its_own() -> None:
    model, grid = built().eval(), torch.tensor([[0, 1], [2, 1]])
    drawn: list[torch.Tensor] = []
    model.log_p.copy_(torch.nn.functional.one_hot(grid, 3).float().clamp(min=1e-30).log())
    model.decoder.register_forward_pre_hook(lambda module, given: drawn.append(given[0]))
    assert {*model.sample(5).unique().tolist()} <= {0.0, 1.0}
    assert torch.equal(drawn[0], model.codebook.vectors[grid].permute(2, 0, 1).expand(5, -1, -1, -1))


def test_what_an_example_costs_by_its_codes() -> None:
    subject = SimpleNamespace(found={known.__wrapped__: Known(1.0, 3.0, 9.0)})
    parts = torch.zeros(2, 2, 2, dtype=torch.long), torch.tensor([1.0, 3.0]), torch.tensor([2.0, 8.0])
    subject.found[codes.coded.__wrapped__] = codes.Coded(*parts, 5)
    bound, cost = codes.code_bound(subject), codes.code_cost(subject)
    assert (bound.value, bound.floor, bound.baseline) == (7.0, 3.0, 9.0)
    assert (codes.code_reconstruction(subject).value, codes.code_reconstruction(subject).floor) == (2.0, 1.0)
    assert (cost.value, cost.baseline) == (5.0, pytest.approx(4 * math.log(5)))


def test_the_codes_of_a_run_are_those_of_its_pictures_part_by_part_and_row_by_row(tmp_path) -> None:
    glyphs = {"name": "glyphs", "size": 16, "count": 30, "validation": 20, "test": 10, "binarise": "static"}
    pictures = datasets.build(glyphs, tmp_path)
    torch.manual_seed(0)
    model = models.build({"name": "vq_vae", "codes": 9, "dim": 2, "width": 8}, pictures.spec, Context())
    model.initialise(pictures.train.batch())
    model.eval()
    coder = SimpleNamespace(model=model, settings=SimpleNamespace(dataset=glyphs, data_dir=str(tmp_path)), path="a")
    data = Codes(tmp_path, SimpleNamespace(run=lambda key, name: coder, asked={"a": {}}), run="a")  # type: ignore[arg-type]
    for part in ("train", "validation", "test"):
        index = model.codes(getattr(pictures, part).batch().x)
        assert torch.equal(getattr(data, part).x, index.flatten(1))
    assert torch.allclose(data.decode(data.test.x), model.decode_codes(index), atol=1e-5)
    x = pictures.test[:7].batch().x
    assert torch.allclose(data.reconstruction(7).float(), -model.log_likelihood(x, model.codes(x)), rtol=1e-4)
    exact, seen = -model.log_likelihood(x, model.codes(x)), []
    model.codebook.nearest = lambda rows: seen.append(rows) or torch.zeros(len(rows), dtype=torch.long)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # the bound of a prior adds what it says of the same symbols
        assert torch.equal(-model.log_likelihood(x, index[:7] * 0 + index[0, 0, 0]), exact)
        model.codes(x)
    model.codes(x)
    assert torch.equal(*seen)


def test_perplexity_counts_codes_by_how_often_they_are_used() -> None:
    found = SimpleNamespace(index=torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]), size=5)
    subject = SimpleNamespace(found={})
    subject.found[codes.coded.__wrapped__] = found
    assert perplexity(subject).value == pytest.approx(2)
    assert used_codes(subject).value == pytest.approx(0.4)


def test_other_shapes_are_refused() -> None:
    for shape in ((2,), (1, 10, 8)):
        with pytest.raises(UserError, match="multiples of 4"):
            models.build({"name": "vq_vae"}, DataSpec(shape, (), "unit"), Context())


def test_codes_are_a_data_set_and_a_prior_of_them_bounds_the_pictures(genexp, tiny: list[str], tmp_path) -> None:
    """What the prior's run prints is its own nll and the decoder's error of the same pictures."""
    small = ["figures.enabled=false", *tiny]
    glyphs = ["dataset=glyphs", "dataset.binarise=dynamic", "dataset.count=80", "dataset.validation=30", "dataset.test=30"]
    code, _, err = genexp("run", "experiment=mnist_vq", *glyphs, "model.codes=12", "model.width=8", "run_dir=a", *small)
    assert code == 0, err
    prior = ["dataset=codes", "dataset.run=a", "model=causal_transformer", "model.width=8", "model.depth=1"]
    code, _, err = genexp("run", *prior, "run_dir=b", *small)
    assert code == 0, err
    first, second = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in "ab")
    assert second["code_bound/dynamic"] == pytest.approx(second["nll/dynamic"] + first["code_reconstruction/dynamic"], rel=1e-5)
    assert second["floor/code_bound/dynamic"] == pytest.approx(first["floor/code_bound/dynamic"], rel=1e-4)
    record = json.loads((tmp_path / "b" / "run.json").read_text())
    assert record["data"]["kind"] == "tokens"
    assert [*record["runs"]] == ["a"]
    code, _, err = genexp("run", "dataset=codes", "dataset.run=b", "model=causal_transformer", *small)
    assert code == 2
    assert "makes no symbols" in err
