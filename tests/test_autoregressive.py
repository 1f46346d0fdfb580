"""Heads, heuristics, tables of counts, texts, and samples that go on from what is given."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from genexp.autoregressive.base import heads, heuristics
from genexp.data.base import Batch, DataSpec
from genexp.data.text import TextData, joined, words
from genexp.errors import UserError
from genexp.measures import autoregressive
from genexp.measures.autoregressive import bits_of_whole_numbers, bits_per_character, nll_train
from genexp.measures.counts import Seen, best_table, log_probs, of_pictures, of_text, parts_of_text
from genexp.measures.likelihood import Likelihood, of_test
from genexp.measures.orderings import nll_orderings
from genexp.measures.reading import read
from genexp.models.made import MADE
from genexp.models.pixelcnn import PixelCNN
from genexp.nn.causal import CausalTransformer, Recent
from genexp.nn.gated import OneStack, TwoStacks, gate
from genexp.nn.window import CausalWindow
from genexp.pictures.orderings import known_parts, walks
from tests.laws.members import shaken
from tests.parts import arrays, make


def test_an_interval_of_a_logistic_has_its_mass() -> None:
    """One component, greys 0 … 4 with mean 2 and standard deviation 4/3: against the logistic's own distribution function."""
    head = heads.part("logistic_mixture", components=1)(DataSpec((1, 1, 1), kind="unit", levels=5)).double()
    raw = torch.tensor([0.0, 0.3, -0.2], dtype=torch.float64)
    mean, scale = 2 + 4 / 3 * 0.3, 4 / 3 * math.exp(-0.2 + math.log(0.5))
    edge = [1 / (1 + math.exp(-(k + 0.5 - mean) / scale)) for k in range(4)]
    expected = np.diff([0.0, *edge, 1.0])
    assert torch.allclose(head.log_table(raw).exp(), torch.tensor(expected), atol=1e-9)


def test_real_numbers_are_drawn_by_their_density_in_units_of_the_data() -> None:
    """The density integrates to one, numerically, and gives the quantiles of what is drawn."""
    torch.manual_seed(0)
    head = heads.part("logistic_mixture", components=3)(DataSpec((1,), kind="real")).double()
    head.initialise(50 + 4 * torch.randn(100, 3).double())
    assert (float(head.shift), float(head.scale)) == (pytest.approx(50, abs=1), pytest.approx(4, rel=0.1))
    raw = torch.randn(9, dtype=torch.float64)
    x = torch.linspace(-50, 150, 20_001).double()
    mass = head.log_prob(x, raw.expand(len(x), 9)).exp().cumsum(0) * 0.01
    assert float(mass[-1]) == pytest.approx(1, abs=1e-4)
    drawn = head.draw(raw.expand(10_000, 9), torch.rand(10_000, 2).double(), heuristics.part("none")()).sort().values
    below = mass[torch.searchsorted(x, drawn).clamp(max=len(x) - 1)]
    assert float((below - (torch.arange(10_000) + 0.5) / 10_000).abs().max()) < 0.025  # Kolmogorov and Smirnov


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


def test_a_random_order_is_that_of_its_seed() -> None:
    orders = [MADE(DataSpec((9,), kind="real"), width=8, order="random", order_seed=seed).order for seed in (1, 1, 2)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert orders[2].sort().values.tolist() == [*range(9)]


def test_the_attention_that_is_shown_is_the_one_that_is_used() -> None:
    """The values, weighted by it, are what each layer's attention gives; and no place looks at a later one."""
    torch.manual_seed(0)
    network, seen = CausalTransformer(6, 2, 8, 2, 2, 0.0).double(), []
    for weights in network.parameters():
        weights.data += 0.5 * torch.randn_like(weights)
    for block in network.blocks:
        block.attention.register_forward_hook(lambda attention, given, out: seen.append((attention, given[0], out)))
    shown = network.attention(torch.randn(3, 6, 8, dtype=torch.float64))
    assert len(seen) == len(shown) == 2
    for weights, (attention, h, out) in zip(shown, seen, strict=True):
        assert torch.allclose(attention.join(weights @ attention.split(h)[2]), out)
        assert torch.equal(weights.tril(), weights)


def test_a_gate_is_between_nothing_and_all_of_a_tanh() -> None:
    h = torch.randn(3, 4, 2, 2)
    assert torch.allclose(gate(h), torch.tanh(h[:, :2]) * torch.sigmoid(h[:, 2:]))


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
    for part in (heuristics.part("top_k", k=2, temperature=0.5), heuristics.part("nucleus", mass=0.86, temperature=0.5)):
        kept = found[part.name].square()  # which values stay, p says; how often each comes, the temperature
        assert torch.allclose(part()(p.log()).softmax(-1), kept / kept.sum())


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


def test_the_first_symbols_of_a_part_have_the_part_before_it_as_their_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut in three or whole, the contexts of a text are the same; of 0 1 2 0 1 2 … nothing is left, wherever a part begins."""
    text = np.tile([0, 1, 2], 400)
    parts = np.split(text, [1000, 1001])  # the test part begins with a 2
    assert np.array_equal(np.concatenate([part.context for part in parts_of_text(parts, 4)]), of_text(text, 4).context)
    train, validation, test = (torch.from_numpy(part) for part in parts)
    data = SimpleNamespace(train_text=train, validation_text=validation, test_text=test, spec=SimpleNamespace(levels=3))
    monkeypatch.setattr(autoregressive, "text_nats", lambda subject: torch.zeros(4))  # four characters are scored
    assert autoregressive.counted_text(SimpleNamespace(data=data)).value < 0.02  # type: ignore[arg-type,operator]


def test_the_validation_part_says_how_far_a_table_looks_back() -> None:
    """Where it is without rule no context helps, and that table is also used where one would."""
    rule, noise = np.tile([0, 1, 2], 100), np.random.default_rng(0).integers(0, 3, 300)
    train, validation, test = (of_text(part, 2) for part in (rule, noise, rule))
    order, nats = best_table(train, validation, test, 3)
    assert order == 0
    assert nats == pytest.approx(math.log(3), abs=1e-2)


def text_subject(nats: object, length: int, letters: int = 4, train: int = 3_000) -> SimpleNamespace:
    """A text without rule, whose test part was in the training part; and a model that says what each character costs."""
    torch.manual_seed(0)
    text, alphabet = torch.randint(letters, (train,)), "abcdefghijklmnopqrstuvwxyz"[:letters]
    spec = DataSpec((length,), kind="tokens", levels=letters, alphabet=alphabet)
    data = SimpleNamespace(
        train_text=text, validation_text=torch.randint(letters, (500,)), test_text=text[:400], length=length, spec=spec
    )
    settings = SimpleNamespace(seed=0, evaluation=SimpleNamespace(num_points=10_000))
    return SimpleNamespace(data=data, model=SimpleNamespace(nats=nats), settings=settings, device=torch.device("cpu"), found={})


@pytest.mark.parametrize("length", [16, 15])
def test_a_character_is_counted_once_with_half_a_passage_before_it(length: int) -> None:
    """A model to which the character at place i of a passage costs i bits; a table of counts finds no rule, and xz the copy."""
    subject = text_subject(lambda x: (torch.arange(length) * math.log(2)).expand(x.shape), length)
    half = length // 2
    count = 1 + (400 - length) // (length - half)
    expected = [*range(length)] + [*range(half, length)] * (count - 1)
    found = bits_per_character(subject)
    assert found[""].value == pytest.approx(sum(expected) / len(expected))
    assert found["counts"].value == pytest.approx(2, abs=0.1)
    assert 0 < found["xz"].value < 1


def test_others_are_measured_on_the_characters_that_the_model_is_measured_on() -> None:
    """Of a test text that begins by a rule and goes on without one, four passages."""
    subject = text_subject(lambda x: torch.zeros(x.shape), 16)
    data, rule = subject.data, torch.arange(4).repeat(100)
    data.train_text, data.validation_text, data.test_text = rule, rule[:200], torch.cat([rule[:64], data.test_text])
    subject.settings.evaluation.num_points = 4
    found = bits_per_character(subject)
    assert found["counts"].value < 0.1
    assert found["xz"].value < 1


def test_the_error_of_a_mean_over_a_text_knows_that_neighbours_are_alike() -> None:
    """Sixteen runs of 256 characters, each of which costs nothing or one bit: the spread of the runs."""
    subject = text_subject(lambda x: x * math.log(2), 16)
    runs = torch.tensor([0, 1]).repeat(8)
    subject.data.test_text = runs.repeat_interleave(256)
    found = bits_per_character(subject)[""]
    assert found.value == pytest.approx(0.5)
    assert found.error == pytest.approx(float(runs.double().std()) / 4)


def test_bits_of_a_pixel_and_of_the_best_table_of_counts() -> None:
    """64 pixels that all cost half a bit, of pictures of fair coins; and the training examples have a likelihood of their own."""
    torch.manual_seed(0)
    spec = DataSpec((1, 8, 8), kind="bits")
    parts = [Batch(torch.randint(2, (many, 1, 8, 8)).float()) for many in (60, 30, 20)]
    data = SimpleNamespace(spec=spec, examples=lambda size, seed: parts[0], heldout=lambda size, seed: parts[1])
    model = SimpleNamespace(head=heads.part("bernoulli")(spec), log_prob=lambda x: -x.flatten(1).sum(1))
    subject = SimpleNamespace(data=data, model=model, knows={"pictures", "examples"}, can={"exact"}, test=parts[2], found={})
    subject.settings = SimpleNamespace(seed=0, evaluation=SimpleNamespace(batch_size=7))
    subject.device = torch.device("cpu")
    subject.found[of_test.__wrapped__] = Likelihood(torch.full((20,), -32 * math.log(2)))
    found = bits_of_whole_numbers(subject)
    assert found.value == pytest.approx(0.5)
    assert found.baseline == pytest.approx(1, abs=0.05)
    assert nll_train(subject).value == pytest.approx(float(parts[0].x.flatten(1).sum(1).mean()))


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
    begun, again = data.train_stream(8, 0), data.train_stream(8, 0)
    begun.next()
    again.load_state_dict(begun.state_dict())
    assert torch.equal(begun.next().x, again.next().x)
    stream, whole = data.train_stream(8, 0), words(data.spec, data.train_text[None])[0]
    starts = [whole.index(passage) for _ in range(stream.steps_per_epoch) for passage in words(data.spec, stream.next().x)]
    assert len({start % 20 for start in starts}) == 1
    assert len(set(starts)) == len(starts)
    assert torch.equal(data.heldout(3, 0).x.flatten(), data.validation_text[:60])
    resumed, later = data.train_stream(8, 0), []
    for _ in range(5):  # epochs, each cut at an offset of its own
        resumed.load_state_dict(stream.state_dict())
        first = stream.next().x
        assert torch.equal(first, resumed.next().x)
        later.append(whole.index(words(data.spec, first)[0]) % 20)
        for _ in range(stream.steps_per_epoch - 1):
            stream.next()
    assert len({*later, starts[0] % 20}) > 2


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


@pytest.mark.parametrize("share", [0.03, 0.1, 0.4, 0.45, 0.497])
def test_a_text_of_the_length_that_is_said_will_do(tmp_path: Path, share: float) -> None:
    (tmp_path / "text.txt").write_text("ab" * 20)
    with pytest.raises(UserError, match="too few") as refused:
        TextData(tmp_path, path="text.txt", length=20, validation_share=share, test_share=share)
    least = int(str(refused.value.hint).split()[3].replace(",", ""))
    (tmp_path / "text.txt").write_text("ab" * ((least + 1) // 2))
    TextData(tmp_path, path="text.txt", length=20, validation_share=share, test_share=share)
    with pytest.raises(UserError, match="nothing to train on"):
        TextData(tmp_path, path="text.txt", length=20, validation_share=0.5, test_share=0.5)


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
    x = arrays(tmp_path / "halves.npz")["samples"]
    assert (x[:, :, :4] == x[0, :, :4]).all()
    assert not (x[:, :, 4:] == x[0, :, 4:]).all()
    assert "there are 359 test pictures" in genexp("sample", "r", "--given", "test:400")[2]


@pytest.mark.parametrize(
    "keys",
    [
        {"local": 4, "local_size": 5, "direct": True, "hidden_layers": 1},
        {"residual": True, "direct": True, "orderings": 5, "masks": 3},
        {"residual": True, "hidden_layers": 3, "order": "random"},
    ],
    ids=["local", "orderings", "residual"],
)
@torch.no_grad()
def test_in_every_order_a_number_depends_on_those_before_it_alone(keys: dict[str, object]) -> None:
    """Bit for bit; on all of them; and with a cache the same samples."""
    torch.manual_seed(0)
    spec = DataSpec((1, 3, 4), kind="bits")
    model = shaken(MADE(spec, width=40, head=heads.part("bernoulli"), **keys), 0.5).eval()  # type: ignore[arg-type]
    x = torch.randint(2, (3, 1, 3, 4)).double()
    for each in (model, model.in_ordering(model.ordering(3), model.degrees_of(2))) if "orderings" in keys else (model,):
        nats, again = each.nats(x), []
        for i in range(12):
            changed = x.flatten(1).clone()
            changed[:, each.order[i]] = 1 - changed[:, each.order[i]]
            again.append(each.nats(changed.view_as(x)))
            assert torch.equal(again[i][:, :i], nats[:, :i])
        assert all(not torch.equal(again[i][:, 11], nats[:, 11]) for i in range(11))
    for each in (model, model.in_ordering(model.ordering(3))) if "orderings" in keys else (model,):
        found = []
        for cached in (True, False):
            torch.manual_seed(1)
            found.append(each.complete(x, 5, cached))
        assert torch.equal(*found)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.float().sample(2).shape == (2, 1, 3, 4)


def test_what_cannot_come_is_not_drawn_even_by_a_noise_of_zero() -> None:
    head = heads.build({"name": "categorical"}, DataSpec((1,), kind="tokens", levels=5))
    raw = torch.tensor([[-math.inf, -math.inf, 0.0, 0.0, -math.inf]])
    for noise, value in ((0.0, 2), (0.49, 2), (0.51, 3), (1 - 2**-24, 3)):
        assert int(head.draw(raw, torch.full((1, 2), noise), heuristics.part("none")())) == value


def test_in_bfloat16_random_numbers_have_all_digits() -> None:
    """By eight bits of them real numbers came out infinite, and a symbol as rare as one in a thousand never."""
    torch.manual_seed(0)
    model: Any = make("made", DataSpec((1,), kind="real"), width=8)
    model.initialise(Batch(torch.randn(500, 1)))
    rare: Any = make("made", DataSpec((1, 1, 1), kind="unit", levels=65), width=8, head="categorical")
    rare.initialise(Batch(torch.zeros(2_000, 1, 1, 1)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x, drawn = model.sample(3_000), rare.sample(40_000)
    assert bool(x.isfinite().all())
    assert len(x.unique()) > 2_900
    wanted = float(rare.log_prob(torch.ones(1, 1, 1, 1)).detach().exp())
    assert wanted < 1 / 1_000
    assert float((drawn > 0).double().mean()) == pytest.approx(64 * wanted, rel=0.2)
    assert len(drawn.unique()) > 60


def test_one_set_of_weights_has_a_distribution_in_every_order_and_masks_move_units_only() -> None:
    """Each sums to one, and no two are alike; training goes through all of them, and evaluation is that of the first."""
    torch.manual_seed(0)
    model = shaken(
        MADE(DataSpec((4,), kind="bits"), width=9, order_seed=2, direct=True, orderings=3, masks=2, head=heads.part("bernoulli")),
        0.6,
    )
    x = torch.cartesian_prod(*[torch.arange(2.0)] * 4).double()
    p = [model.in_ordering(model.ordering(k), model.degrees_of(d)).log_prob(x).exp().detach() for k in range(3) for d in range(2)]
    assert torch.stack(p).sum(1).tolist() == pytest.approx([1.0] * 6)
    assert all(not torch.allclose(p[i], p[j]) for i in range(6) for j in range(i))
    losses = {round(float(model.train().loss(Batch(x))["loss"].detach()), 9) for _ in range(60)}
    assert losses == {round(-float(each.log().mean()), 9) for each in p}
    assert float(model.eval().loss(Batch(x))["loss"].detach()) == pytest.approx(-float(p[0].log().mean()))
    assert "orderings" in model.can
    assert model.degrees_of(1).sort().values.tolist() == model.network.degrees.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_the_mean_over_orders_and_their_mixture() -> None:
    """Three orders in which everything has a probability of 1/2, 1/4, 1/4, and new ones in which it has 1/8."""
    log_p = -math.log(2) * torch.tensor([[1.0], [2.0], [2.0]]).expand(3, 10)
    model = SimpleNamespace(orderings=3, ordering=lambda k: k)
    model.in_ordering = lambda k: SimpleNamespace(log_prob=lambda x: log_p[k, : len(x)] if k < 3 else -math.log(8) + 0 * x)
    subject = SimpleNamespace(model=model, test=Batch(torch.zeros(10)), device=torch.device("cpu"), found={})
    found = {name: value.value for name, value in nll_orderings(subject).items()}  # type: ignore[arg-type]
    expected = {"": 5 / 3 * math.log(2), "unseen": math.log(8), "mixture": math.log(3), "spread": math.log(2) / 3**0.5}
    assert found == pytest.approx(expected, rel=1e-6)


def test_named_orders_take_the_colours_of_a_pixel_together() -> None:
    found = {name: order.tolist() for name, order in walks((2, 3, 3)).items()}
    assert all(sorted(order) == [*range(18)] for order in found.values())
    assert found["columns"][:6] == [0, 9, 3, 12, 6, 15]
    assert found["from the middle"][:2] == [4, 13]
    assert {*found["from the middle"][-16:]} == {*range(18)} - {4, 13}


@pytest.mark.parametrize("stacks", ["two", "one"])
@torch.no_grad()
def test_a_colour_is_given_the_pixels_before_and_the_colours_before_it(stacks: str) -> None:
    """Bit for bit, with a cache the same samples, and the parameters of blue depend on red and green of the same pixel."""
    torch.manual_seed(0)
    spec = DataSpec((3, 2, 3), kind="unit", levels=5)
    model = shaken(PixelCNN(spec, channels=12, depth=2, stacks=stacks), 0.4).eval()  # type: ignore[arg-type]
    assert model.order.tolist()[:4] == [0, 6, 12, 1]
    x = torch.randint(5, (3, 3, 2, 3)).double() / 4
    nats = model.nats(x)
    for i in range(18):
        changed = x.flatten(1).clone()
        changed[:, model.order[i]] = (changed[:, model.order[i]] + 0.5) % 1.25
        again = model.nats(changed.view_as(x))
        assert torch.equal(again[:, :i], nats[:, :i])
        assert all(not torch.equal(again[:, later], nats[:, later]) for later in range(i + 1, i - i % 3 + 3))
    found = []
    for cached in (True, False):
        torch.manual_seed(1)
        found.append(model.complete(x, 7, cached))
    assert torch.allclose(*found, atol=1e-12)


def test_a_network_of_neighbours_sees_the_upper_half_of_its_window_and_is_the_same_everywhere() -> None:
    torch.manual_seed(0)
    window = CausalWindow(5, 6, 8, 3, 2, "silu").double()
    torch.nn.init.normal_(window.last.weight)
    x = torch.rand(2, 30, dtype=torch.float64, requires_grad=True)
    window(x)[:, 2 * 6 + 3].sum().backward()
    assert (x.grad.abs().sum(0) > 0).nonzero()[:, 0].tolist() == [8, 9, 10, 14]  # type: ignore[union-attr]
    moved = torch.zeros(1, 5, 6, dtype=torch.float64)
    moved[0, 1:4, 1:5] = torch.rand(3, 4)
    here, there = window(moved.flatten(1)), window(moved.roll(1, 1).flatten(1))
    assert torch.allclose(here.view(5, 6, 2)[:4, 1:-1], there.view(5, 6, 2)[1:, 1:-1])


def test_a_place_is_connected_to_the_few_before_it() -> None:
    """By a weight of each channel; begins as the identity, and one place after another gives the same."""
    torch.manual_seed(0)
    recent, h = Recent(2, 3).double(), torch.randn(4, 6, 2, dtype=torch.float64)
    assert torch.equal(recent(h), h)
    torch.nn.init.normal_(recent.weights)
    w, found = recent.weights, recent(h)
    assert torch.allclose(found[:, 4], h[:, 4] * (1 + w[0]) + h[:, 3] * w[1] + h[:, 2] * w[2])
    step = recent.one_by_one(4)
    assert torch.allclose(torch.cat([step(h[:, i : i + 1]) for i in range(6)], dim=1), found)
    network = CausalTransformer(6, 2, 8, 2, 2, 0.0, reach=3).double()
    for weights in network.parameters():
        weights.data += 0.5 * torch.randn_like(weights)
    features = torch.randn(3, 6, 8, dtype=torch.float64)
    one = network.one_by_one(3)
    each = torch.stack([one(features[:, i - 1] if i else None, i) for i in range(6)], dim=1)
    assert torch.allclose(each, network(features))
    later = features.clone()
    later[:, 3] += 1
    assert torch.equal(network(later)[:, :4], network(features)[:, :4])


def test_parts_that_are_known_are_halves_or_the_whole_with_a_hole() -> None:
    parts = known_parts(4, 6)
    assert torch.equal(parts["middle"], ~parts["border"])
    assert {name: int(part.sum()) for name, part in parts.items()} == {
        "upper half": 12,
        "left half": 12,
        "middle": 4,
        "border": 20,
        "every other pixel": 12,
    }


def test_who_reads_learns_from_each_character_once_it_is_counted() -> None:
    """One weight, the logit of a 1: by hand, as a text of ones becomes ever cheaper; and the model stays as it is."""

    class Coin(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit = torch.nn.Parameter(torch.zeros(()))

        def nats(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.binary_cross_entropy_with_logits(self.logit.expand(x.shape), x.float(), reduction="none")

    model = Coin()
    found, still = read(model, torch.ones(12), 4, 0.1), read(model, torch.ones(12), 4, 0.0)
    assert torch.allclose(still, torch.full((12,), math.log(2)).double())
    steps = [0.0] * 4 + [0.1] * 2 + [0.2] * 2 + [0.3] * 2 + [0.4] * 2  # Adam's steps are as long as its rate while the sign stays
    assert torch.allclose(found, torch.tensor([math.log1p(math.exp(-logit)) for logit in steps]).double(), atol=5e-3)
    assert float(model.logit.detach()) == 0
