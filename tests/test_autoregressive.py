"""Heads, heuristics, tables of counts, texts, and samples that go on from what is given."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from genexp.autoregressive.base import heads, heuristics
from genexp.data.base import Batch, DataSpec
from genexp.data.text import TextData, joined, words
from genexp.errors import UserError
from genexp.measures.counts import Seen, best_table, log_probs, of_pictures, of_text
from genexp.models.made import MADE
from genexp.nn.gated import OneStack, TwoStacks


def test_an_interval_of_a_logistic_has_its_mass() -> None:
    """One component, greys 0 … 4 with mean 2 and standard deviation 4/3: against the logistic's own distribution function."""
    head = heads.part("logistic_mixture", components=1)(DataSpec((1, 1, 1), kind="unit", levels=5)).double()
    raw = torch.tensor([0.0, 0.3, -0.2], dtype=torch.float64)
    mean, scale = 2 + 4 / 3 * 0.3, 4 / 3 * math.exp(-0.2 + math.log(0.5))
    edge = [1 / (1 + math.exp(-(k + 0.5 - mean) / scale)) for k in range(4)]
    expected = np.diff([0.0, *edge, 1.0])
    assert torch.allclose(head.log_table(raw).exp(), torch.tensor(expected), atol=1e-9)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_a_masked_autoencoder_begins_with_the_frequencies_of_each_number(name: str) -> None:
    torch.manual_seed(0)
    spec = DataSpec((1, 2, 3), kind="bits")
    x = torch.bernoulli(torch.linspace(0.1, 0.9, 6).view(spec.shape).expand(5000, *spec.shape))
    model = MADE(spec, width=8, order="random", head=heads.part(name))
    model.initialise(Batch(x))
    p = x.mean(0).double()
    entropy = float(-(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).sum())
    assert model.loss(Batch(x))["loss"].item() == pytest.approx(entropy, abs=1e-3)


def test_heuristics_keep_what_they_say() -> None:
    p = torch.tensor([0.1, 0.4, 0.05, 0.45], dtype=torch.float64)
    found = {
        name: heuristics.part(name, **keys)()(p.log()).softmax(-1)
        for name, keys in (("none", {}), ("temperature", {"temperature": 0.5}), ("top_k", {"k": 2}), ("nucleus", {"mass": 0.86}))
    }
    assert torch.allclose(found["none"], p)
    assert torch.allclose(found["temperature"], p**2 / (p**2).sum())
    assert torch.allclose(found["top_k"], torch.tensor([0, 0.4, 0, 0.45], dtype=torch.float64) / 0.85)
    assert torch.allclose(found["nucleus"], torch.tensor([0.1, 0.4, 0, 0.45], dtype=torch.float64) / 0.95)


def test_one_stack_has_a_blind_spot_and_two_stacks_have_none() -> None:
    """Which pixels the one in the fifth row and third column sees, by gradients: of those above, all but a wedge to the right."""
    torch.manual_seed(0)
    seen = {}
    for kind in (OneStack, TwoStacks):
        network = kind(4, 6, 3, 2).double()
        torch.nn.init.normal_(network.last[-1].weight)  # type: ignore[arg-type]
        x = torch.randn(5, 4, 6, 6, dtype=torch.float64, requires_grad=True)
        network(x)[:, :, 4, 2].sum().backward()
        seen[kind] = x.grad.abs().sum((0, 1)) > 0  # type: ignore[union-attr]
    before = torch.zeros(6, 6, dtype=torch.bool)
    before[:4], before[4, :2] = True, True
    wedge = torch.tensor([[column > 2 + (4 - row) for column in range(6)] for row in range(6)]) & before
    assert torch.equal(seen[TwoStacks], before)
    assert torch.equal(seen[OneStack], before & ~wedge)


def test_a_table_of_counts_is_a_distribution_and_learns_a_rule() -> None:
    """Witten and Bell by hand for a b a b a; probabilities sum to one; of a sequence that repeats, nothing is left."""
    text = np.array([0, 1, 0, 1, 0])
    train = of_text(text, 1, before=np.array([1]))
    tests = [Seen(np.full(1, k), np.full((1, 1), 0)) for k in range(3)]
    found = [np.exp(each[1][0]) for each in log_probs(train, tests, 3, 1)]
    p_0 = [(3 + 2 / 3) / 7, (2 + 2 / 3) / 7, (2 / 3) / 7]  # counts 3 2 0 of 5, two types, over a uniform third
    assert found == pytest.approx([(0 + p_0[0]) / 3, (2 + p_0[1]) / 3, p_0[2] / 3])  # after a: b twice, one type
    assert sum(found) == pytest.approx(1)
    long = np.tile([0, 1, 2, 2], 500)
    order, nats = best_table(of_text(long, 3), of_text(long[:400], 3), of_text(long[:400], 3), 3)
    assert order >= 2
    assert nats < 0.02


def test_neighbours_of_a_pixel_come_before_it() -> None:
    x = np.arange(1, 10).reshape(1, 3, 3)
    seen = of_pictures(x, 4)
    assert seen.next[4] == 5
    assert seen.context[4].tolist() == [4, 2, 3, 1]  # left, above, above to the right and to the left
    assert (of_pictures(x, 12).context.max(1) < seen.next).all()


@pytest.fixture
def poem(tmp_path: Path) -> Path:
    (tmp_path / "poem.txt").write_text("".join(f"Zeile {k} ist schön.\r\n" for k in range(100)), encoding="utf-8")
    return tmp_path


def test_the_parts_of_a_text_follow_one_another(poem: Path) -> None:
    data = TextData(poem, path="poem.txt", length=20)
    parts = torch.cat([data.train_text, data.validation_text, data.test_text])
    text = words(data.spec, parts[None])[0]
    assert text == "".join(f"Zeile {k} ist schön.\n" for k in range(100))
    assert joined(data.spec, data.test.x).startswith(words(data.spec, data.test_text[None])[0][:20])
    stream, whole = data.train_stream(8, 0), words(data.spec, data.train_text[None])[0]
    starts = [whole.index(passage) for _ in range(stream.steps_per_epoch) for passage in words(data.spec, stream.next().x)]
    assert len({start % 20 for start in starts}) == 1
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.txt", None, "no such file"),
        (".", None, "a folder, and not a file"),
        ("bytes.txt", b"\xff\xfe\x00", "no text in UTF-8"),
        ("short.txt", b"abc" * 20, "too few"),
    ],
)
def test_what_is_no_text_is_refused_in_a_line(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        TextData(tmp_path, path=name, length=20)


def test_a_run_on_a_text_goes_on_from_a_beginning(genexp, tiny: list[str], poem: Path) -> None:
    small = ["dataset.length=16", "model.width=16", "model.depth=1", "evaluation.num_samples=4", "evaluation.batch_size=4"]
    words_ = ["dataset=text", "dataset.path=poem.txt", "model=causal_transformer", "figures.enabled=false", "run_dir=r"]
    code, out, err = genexp(
        "run", *words_, *[word for word in tiny if "num_samples" not in word and "batch_size" not in word], *small
    )
    assert code == 0, err
    assert "bits_per_character" in out
    assert (poem / "r" / "samples" / "samples.txt").read_text().count("-" * 60) >= 3
    assert genexp("sample", "r", "--given", "Zeile", "--num", "3", "--out", "on.txt")[0] == 0
    passages = (poem / "on.txt").read_text().split("\n" + 60 * "-" + "\n")
    assert len(passages) == 3
    assert all(passage.startswith("Zeile") for passage in passages)
    assert genexp("sample", "r", "--out", "no.png")[2].splitlines()[1] == "hint: --out samples.txt"
    for given, said in (("Qu", "not in the text"), ("Zeile" * 9, "45 characters; a passage has 16"), ("", "0 characters")):
        code, _, err = genexp("sample", "r", "--given", given, "--out", "no.txt")
        assert code == 2
        assert said in err


def test_a_run_on_pictures_completes_a_half(genexp, tiny: list[str], tmp_path: Path) -> None:
    small = ["model.width=16", "evaluation.num_samples=4", "evaluation.batch_size=4", "figures.enabled=false", "run_dir=r"]
    assert genexp("run", "dataset=digits", "model=made", *tiny, *small)[0] == 0
    assert genexp("sample", "r", "--given", "test:3", "--num", "5", "--out", "halves.npz")[0] == 0
    x = np.load(tmp_path / "halves.npz")["samples"]
    assert (x[:, :, :4] == x[0, :, :4]).all()
    assert not (x[:, :, 4:] == x[0, :, 4:]).all()
    assert "there are 359 test pictures" in genexp("sample", "r", "--given", "test:400")[2]
