"""Tables of counts inside a model: by hand, with one number left out, kept in a checkpoint."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.autoregressive.base import heads
from genexp.autoregressive.tables import CountTables
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.fit.average import Average
from genexp.models.causal_transformer import TransformerModel
from tests.laws.members import shaken

TEXT = torch.tensor([[0, 1, 2, 0, 1, 2, 0, 1, 1, 2, 0, 0, 2, 0, 1, 0, 2, 2, 0, 1]])
OTHER = torch.tensor([[2, 0, 1, 2, 3, 0, 1, 1]])
ORDER, LEVELS = 3, 4


def by_one_term(tables: CountTables, number: Tensor, n: int, leave_out: bool = False) -> np.ndarray:
    """p_n of each number, (dim,): the weights are such that it is the only term."""
    said = torch.full((*number.shape, tables.terms), -1e4, dtype=torch.float64)
    said[..., n + 1] = 0
    return tables.log_terms(number, said, torch.zeros(number.shape).double(), leave_out)[0].logsumexp(-1).detach().exp().numpy()


def by_hand(events: list[tuple[tuple[int, ...], int]], context: tuple[int, ...], c: int, n: int) -> float:
    """Witten and Bell of `n` numbers of context, from events (all numbers before, next); what is not there is backed off from."""
    lower = by_hand(events, context, c, n - 1) if n >= 0 else 0.0
    if n < 0:
        return 1 / LEVELS
    if len(context) < n:
        return lower
    followed = Counter(
        next_ for before, next_ in events if len(before) >= n and before[len(before) - n :] == context[len(context) - n :]
    )
    total, types = sum(followed.values()), len(followed)
    return (followed[c] + types * lower) / (total + types) if total else lower


def test_in_training_each_number_is_left_out_of_its_own_counts() -> None:
    tables, row = CountTables(LEVELS, ORDER).double(), TEXT[0].tolist()
    tables.count(TEXT)
    events = [(tuple(row[:t]), row[t]) for t in range(len(row))]
    for n in range(ORDER + 1):
        found = by_one_term(tables, TEXT, n, leave_out=True)
        expected = [by_hand([*events[:t], *events[t + 1 :]], *events[t], n) for t in range(len(row))]
        assert found == pytest.approx(expected)
        assert by_one_term(tables, TEXT, n) == pytest.approx([by_hand(events, *event, n) for event in events])
        new = [by_hand(events, tuple(OTHER[0, :t].tolist()), int(OTHER[0, t]), n) for t in range(OTHER.shape[1])]
        assert by_one_term(tables, OTHER, n) == pytest.approx(new)


def test_weights_say_how_well_a_context_is_known() -> None:
    """With a weight on the totals alone, what has been seen often counts, and what has never been seen does not."""
    tables = CountTables(LEVELS, 1).double()
    tables.count(torch.tensor([[0, 1] * 50]))
    with torch.no_grad():
        tables.weights.bias[:] = torch.tensor([0.0, -50.0, -20.0])
        tables.weights.weight[2, 2] = 10.0  # of ln(1 + total) of one number of context
    network = torch.full((2, 4), 0.25).double().log()
    p = tables.log_table(torch.tensor([[0], [3]]), torch.zeros(2, 3).double(), network).exp().detach()
    assert float(p[0, 1]) > 0.97
    assert torch.allclose(p[1], torch.full((4,), 0.25).double(), atol=1e-6)


def test_a_model_with_tables_is_loaded_as_it_was_saved() -> None:
    """Whose tables are of any length; also into an average."""
    spec = DataSpec((5,), kind="tokens", levels=3, alphabet="abc")
    x = torch.randint(3, (40, 5))
    old, new, averaged = (TransformerModel(spec, width=8, depth=1, attention_heads=2, counts=2) for _ in range(3))
    old.initialise(Batch(x))
    shaken(old).eval()
    new.double().eval().load_state_dict(old.state_dict())
    assert torch.equal(new.nats(x), old.nats(x))
    average = Average(averaged.double(), 0.9)
    average.model.load_state_dict(old.state_dict())
    averaged.load_state_dict(old.state_dict())
    assert torch.equal(average.model.nats(x), old.nats(x))
    assert not torch.equal(old.train().nats(x), old.eval().nats(x))  # in training, one less of each


def test_tables_need_a_probability_of_each_value() -> None:
    with pytest.raises(UserError, match="counts is for"):
        TransformerModel(DataSpec((1, 2, 2), kind="unit"), counts=2, head=heads.part("logistic_mixture"))
    assert CountTables(4_000, 9).order == 4  # one whole number tells contexts apart


@torch.no_grad()
def test_shares_say_who_gave_the_probability() -> None:
    """Of a network that knows nothing of three letters, beside a table that knows the next one: w p of each, over their sum."""
    spec = DataSpec((6,), kind="tokens", levels=3, alphabet="abc")
    model = TransformerModel(spec, width=8, depth=1, attention_heads=2, counts=1).double().eval()
    x = torch.tensor([[0, 1, 2, 0, 1, 2]])
    model.initialise(Batch(x.repeat(9, 1)))  # every weight is still 1/3
    uniform = 1 / 3
    found = model.shares(x)[0, 4]  # b after a, 18 times; nine of each letter but the first, where it was the start
    assert "terms" in model.can
    assert float(found.sum()) == pytest.approx(1)
    assert float(found[0] / found[1]) == pytest.approx(1.0, abs=1e-9)  # letters are equally frequent
    assert float(found[2] / found[0]) == pytest.approx((18 + 1 / 3) / 19 / uniform)
    assert float(model.nats(x)[0, 4].exp()) == pytest.approx(3 / (2 * uniform + (18 + 1 / 3) / 19))


def test_the_network_also_learns_by_itself() -> None:
    """In training its own −ln p is added, so that its weights move where tables know everything; what is held out is −ln p(x)."""
    torch.manual_seed(0)
    model = TransformerModel(
        DataSpec((6,), kind="tokens", levels=3, alphabet="abc"), width=8, depth=1, attention_heads=2, counts=2
    )
    x = torch.tensor([[0, 1, 2, 0, 1, 2]]).repeat(20, 1)
    model.initialise(Batch(x))
    terms = model.loss(Batch(x))
    assert float(terms["network"].detach()) == pytest.approx(6 * math.log(3), rel=1e-5)  # it begins as uniform
    assert float(terms["mixture"].detach()) == pytest.approx(float(model.nats(x).sum(1).mean().detach()))
    assert float(terms["loss"].detach()) == pytest.approx(float((terms["network"] + terms["mixture"]).detach()))
    assert float(model.eval().loss(Batch(x))["loss"].detach()) == pytest.approx(float(-model.log_prob(x).mean().detach()))
