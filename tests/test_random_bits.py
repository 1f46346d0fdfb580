"""Sources of random bits: bit for bit what is published, jumps that are drawings, periods and lattices that are known exactly."""

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.registry import models
from genexp.samplers import lattice, mersenne, trials
from genexp.samplers.base import Source, Stream, sources
from genexp.samplers.lcg import LinearCongruential, Map, period_of
from genexp.samplers.polynomials import Modulus, coefficients, product
from tests.subjects import flat, record

LCGS: list[dict[str, Any]] = [
    {"preset": "minstd"},
    {"preset": "randu"},
    {"preset": "mmix"},
    {"modulus": 2**61 - 1, "multiplier": 1234567890123456789, "increment": 987654321987654321},
    {"modulus": 10**19, "multiplier": 123456789012345678, "increment": 3},
    {"modulus": 1000, "multiplier": 21, "increment": 7},
    {"modulus": 2, "multiplier": 1, "increment": 1},
]
ALL = [{"name": "lcg", **keys} for keys in LCGS] + [{"name": name} for name in sources.names() if name != "lcg"]
EACH = pytest.mark.parametrize("settings", ALL, ids=lambda settings: "-".join(map(str, settings.values())))
VECTOR = [3, 412333834243, 2360170716294286339, 9295852285959843169, 2797080929874688578]  # of xoroshiro128+ from (1, 2)


def made(settings: dict[str, Any]) -> Source:
    return sources.build(settings)


# --- the same as elsewhere -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", LCGS, ids=str)
def test_an_lcg_is_its_equation(keys: dict[str, Any]) -> None:
    source = LinearCongruential(**keys)
    m, a, c = source.map.m, source.map.a, source.map.c
    (x,) = state = source.state(12345)
    expected = []
    for _ in range(9000):
        x = (a * x + c) % m
        expected.append(x)
    assert source.words(state, 9000).words.tolist() == expected


def test_minstd_passes_its_authors_test() -> None:
    """Park & Miller: from 1, the ten thousandth number is 1043618065."""
    assert int(LinearCongruential().words((1,), 10_000).words[-1]) == 1043618065


def test_pcg64_is_numpys() -> None:
    source, theirs = made({"name": "pcg64"}), np.random.PCG64(7)
    inner = theirs.state["state"]
    state = inner["state"], inner["inc"]
    assert np.array_equal(source.words(state, 5000).words, theirs.random_raw(5000))
    jumped = np.random.PCG64(7).advance(10**30)
    assert source.jump(state, 10**30)[0] == jumped.state["state"]["state"]


def test_mt19937_is_numpys() -> None:
    source, theirs = made({"name": "mt19937"}), np.random.RandomState(5489)
    kind, key, place, *_ = theirs.get_state()
    state = source.state(5489)
    assert (kind, state) == ("MT19937", (*key.tolist(), place))
    bits = np.random.MT19937()
    bits.state = {"bit_generator": kind, "state": {"key": key, "pos": place}}
    assert np.array_equal(source.words(state, 3005).words, bits.random_raw(3005))


def test_xoroshiro_is_its_authors() -> None:
    source = made({"name": "xoroshiro128plus"})
    assert source.words((1, 2), 5).words.tolist() == VECTOR
    a, b, expected = 123, 456, []
    for _ in range(5000):
        expected.append((a + b) % 2**64)
        b ^= a
        a, b = (a << 24 | a >> 40) % 2**64 ^ b ^ (b << 16) % 2**64, (b << 37 | b >> 27) % 2**64
    assert source.words((123, 456), 5000).words.tolist() == expected


# --- a sequence is one sequence --------------------------------------------------------------------------------------


@EACH
def test_parts_of_a_sequence_are_the_sequence_and_jumps_are_drawings(settings: dict[str, Any]) -> None:
    source = made(settings)
    state = source.state(99)
    whole, found = source.words(state, 10_000), []
    for n in (0, 1, 2, 700, 4096, 5201):
        part = source.words(state, n)
        assert source.jump(state, n) == part.state
        found, state = [*found, part.words], part.state
    assert np.array_equal(np.concatenate(found), whole.words)
    assert state == whole.state


@pytest.mark.parametrize("steps", [0, 1, 623, 624, 625, 40_001, 131_072])
def test_mt19937_jumps_where_drawing_leads(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    source = made({"name": "mt19937"})
    state = source.words(source.state(7), 1000).state
    drawn = source.words(state, steps).state
    for far in (1, 10**9):  # by the polynomial, and by renewals
        monkeypatch.setattr(mersenne, "FAR", far)
        assert source.jump(state, steps) == drawn


def test_mt19937_jumps_as_far_as_numpys() -> None:
    """2¹²⁸ words. NumPy keeps its words in a circle that begins at `pos`; of the first one bit alone is part of the state."""
    *key, place = made({"name": "mt19937"}).state(5489)
    x, theirs = np.array(key, dtype=np.uint32), np.random.MT19937()
    theirs.state = {"bit_generator": "MT19937", "state": {"key": x, "pos": place}}
    found = theirs.jumped().state["state"]
    words, jumped = np.roll(found["key"], -found["pos"]), mersenne.ahead(x, 2**128)
    assert np.array_equal(jumped[1:], words[1:])
    assert jumped[0] >> 31 == words[0] >> 31


def test_powers_of_a_polynomial_are_those_of_long_division() -> None:
    rng = np.random.default_rng(0)
    for degree in (1, 2, 7, 30, 65):
        phi = 1 << degree | int(rng.integers(2 ** min(degree, 62))) | 1
        modulus, power = Modulus(coefficients(phi)), 1
        for exponent in range(3 * degree + 40):
            found = sum(int(bit) << place for place, bit in enumerate(modulus.power(exponent)))
            assert found == power
            power <<= 1
            power ^= phi if power >> degree else 0
    assert [product(x, 0b1011) for x in (0, 1, 0b11)] == [0, 0b1011, 0b11101]


@EACH
@pytest.mark.parametrize("bits", [24, 32, 53])
def test_uniform_numbers_are_whole_multiples_below_one(settings: dict[str, Any], bits: Any) -> None:
    source = made(settings)
    u = Stream(source, 3, bits).uniform(1001)
    assert u.dtype == torch.float64
    assert len(u) == 1001
    assert torch.equal((u * 2**bits).round(), u * 2**bits)
    assert 0 <= float(u.min()) <= float(u.max()) < 1
    assert float(Stream(source, 3, bits).positive(1001).min()) > 0


def test_positive_numbers_keep_all_their_bits_near_zero_as_float32() -> None:
    """Where logarithms are large: rounding is relative, and k = 5 of 2³² is not 0."""
    source = made({"name": "pcg64"})
    exact = Stream(source, 1, 32).positive(200_000)
    rounded = Stream(source, 1, 32).positive(200_000, torch.float32)
    assert float((rounded.double() / exact - 1).abs().max()) < 2e-7


def test_seeds_are_unrelated() -> None:
    for name in ("xoroshiro128plus", "pcg64", "entropy"):
        source = made({"name": name})
        flipped = [source.words(source.state(seed), 1000).words for seed in (0, 1)]
        share = np.unpackbits((flipped[0] ^ flipped[1]).view(np.uint8)).mean()
        assert share == pytest.approx(0.5, abs=0.01)


# --- known exactly ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("multiplier", "modulus", "squares"),
    [  # Knuth, section 3.3.4, table 1: lines 19 and 12
        (16807, 2**31 - 1, [282475250, 408197, 21682, 4439, 895]),
        (65539, 2**29, [536936458, 118, 116, 116, 116]),
    ],
)
def test_the_spectral_test_is_knuths(multiplier: int, modulus: int, squares: list[int]) -> None:
    found = [lattice.shortest(multiplier, modulus, dims) for dims in range(2, 7)]
    assert [sum(each * each for each in vector) for vector in found] == squares


@pytest.mark.parametrize(("multiplier", "modulus"), [(137, 256), (21, 101), (45, 1009), (7, 509)])
def test_the_shortest_vector_is_the_shortest_of_all(multiplier: int, modulus: int) -> None:
    reach = range(-25, 26)
    for dims in (2, 3):
        powers = [pow(multiplier, place, modulus) for place in range(dims)]
        all_near = np.array([*itertools.product(reach, repeat=dims)])
        dual = all_near[(all_near @ powers % modulus == 0) & all_near.any(1)]
        vector = np.array(lattice.shortest(multiplier, modulus, dims))
        assert vector @ powers % modulus == 0
        assert vector @ vector == (dual**2).sum(1).min()


def test_randu_lies_on_fifteen_planes() -> None:
    source = LinearCongruential(preset="randu")
    dual = source.dual_vector(3)
    u = Stream(source, 1).uniform(30_000).reshape(-1, 3)
    along = u @ torch.tensor(dual, dtype=torch.float64)
    assert dual == (9, -6, 1)
    assert torch.equal(along, along.round())
    assert len(along.unique()) == lattice.planes(dual) == 15
    assert source.most_planes(3) == pytest.approx(2344, abs=1)
    subject: Any = SimpleNamespace(model=SimpleNamespace(source=source), found={})
    found = flat("planes", record("planes").function(subject))  # type: ignore[arg-type]
    assert (found["planes/3d"], found["ceiling/planes/3d"]) == (15, source.most_planes(3))
    assert not [name for name in found if name.startswith("floor/")]


@pytest.mark.parametrize(("a", "c", "m"), [(5, 3, 16), (3, 0, 7), (21, 7, 1000), (7, 0, 100), (1, 4, 10), (2, 1, 15), (4, 0, 9)])
def test_the_period_is_that_which_is_counted(a: int, c: int, m: int) -> None:
    step = Map(a, c, m)
    for start in range(m):
        seen, x = 1, step(start)
        while x != start and seen <= m:
            seen, x = seen + 1, step(x)
        if math.gcd(a, m) == 1:
            assert period_of(step, start) == seen
        else:
            assert period_of(step, start) is None


def test_known_periods() -> None:
    periods = {"minstd": math.log2(2**31 - 2), "randu": 29.0, "mmix": 64.0}
    for preset, expected in periods.items():
        source = LinearCongruential(preset=preset)  # type: ignore[arg-type]
        assert source.period(source.state(5)) == pytest.approx(expected)


# --- models of them --------------------------------------------------------------------------------------------------


def test_a_point_is_of_successive_numbers() -> None:
    """RANDU's lie on planes; and no two draws are of one sequence."""
    model = models.build({"name": "random_bits", "source": {"name": "lcg", "preset": "randu"}}, DataSpec((3,)))
    along = model.drawn(model.stream(1), 500) @ torch.tensor([9.0, -6.0, 1.0], dtype=torch.float64)
    assert torch.equal(along, along.round())
    torch.manual_seed(0)
    one, other = model.sample(5), model.sample(5)
    torch.manual_seed(0)
    assert not torch.equal(one, other)
    assert torch.equal(one, model.sample(5))


def test_the_loss_is_a_distance_of_distributions() -> None:
    """2 E|x − y| − E|x − x′| − E|y − y′| of uniform numbers: 0, give or take; of those moved by 1, 2 − ⅓ − ⅓."""
    torch.manual_seed(0)
    model = models.build({"name": "random_bits", "source": {"name": "pcg64"}}, DataSpec((1,)))
    loss = {by: float(model.loss(Batch(torch.rand(20_000, 1) + by))["loss"]) for by in (0.0, 1.0)}
    assert loss == pytest.approx({0.0: 0, 1.0: 4 / 3}, abs=0.02)


@pytest.mark.parametrize("preset", ["mmix", "minstd"])
def test_few_bits_are_the_highest(preset: str) -> None:
    source = made({"name": "lcg", "preset": preset})
    whole = Stream(source, 3, 53).uniform(1000)
    for bits in (24, 32) if preset == "mmix" else (24,):
        assert torch.equal(Stream(source, 3, bits).uniform(1000), (whole * 2**bits).floor() / 2**bits)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [24, 32, 53])
def test_numbers_fill_the_interval_whatever_share_of_the_words_a_modulus_leaves(bits: Any) -> None:
    """Of m little above 2⁶³ a word of 64 bits has a highest bit that is never one, and x/m is uniform all the same."""
    source = made({"name": "lcg", "modulus": 2**63 + 29, "multiplier": 6364136223846793005, "increment": 1442695040888963407})
    u = Stream(source, 3, bits).uniform(1000)
    assert float(u.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(u.max()) > 0.98


# --- the tests themselves --------------------------------------------------------------------------------------------


def p_values(u: np.ndarray) -> dict[str, float]:
    found = {"ks": trials.kolmogorov_smirnov(u), "serial": trials.serial_correlation(u), "runs": trials.runs(u)}
    found |= {f"chi2 {dims}d": trials.chi_square(u, dims) for dims in (1, 2, 3)}
    found["birthdays"] = trials.birthday_spacings(u)
    return {name: trial.p for name, trial in found.items() if trial is not None}


def test_p_values_are_uniform_where_nothing_is_wrong() -> None:
    """Five hundred honest sequences: of each test, p is distributed as it should be."""
    random = np.random.default_rng(1)
    found = [p_values(random.random(600)) for _ in range(500)]
    for name in found[0]:
        if name != "birthdays":  # whose counts are few
            p = np.array([each[name] for each in found])
            assert trials.kolmogorov_smirnov(p).p > 1e-4, name  # type: ignore[union-attr]


def test_birthdays_are_as_often_spaced_alike_as_they_should() -> None:
    trial = trials.birthday_spacings(np.random.default_rng(5).random(1_000 * trials.BIRTHDAYS))
    assert trial is not None
    assert trial.value == pytest.approx(trial.expected, abs=4 * trial.expected**0.5)
    assert trial.expected == pytest.approx(2000, rel=0.01)


@EACH
def test_every_source_passes_but_where_theory_says_that_it_fails(settings: dict[str, Any]) -> None:
    source = made(settings)
    if source.width < 31:
        pytest.skip("a toy")
    stream = Stream(source, 2)
    found = p_values(stream.uniform(60_000).numpy())
    low = trials.lowest_bits(Stream(source, 2).words(60_000))
    assert low is not None
    fails = {name for name, p in {**found, "low bits": low.p}.items() if p < 1e-6}
    even = isinstance(source, LinearCongruential) and source.map.m % 2 == 0
    expected = ({"chi2 3d"} if settings.get("preset") == "randu" else set()) | ({"low bits"} if even else set())
    assert fails == expected


@pytest.mark.parametrize(
    ("spoil", "noticed"),
    [
        (lambda u: u**1.05, "ks"),
        (lambda u: 0.9 * u + 0.1 * np.roll(u, 1), "serial"),
        (lambda u: np.sort(u.reshape(-1, 4), axis=1).ravel(), "runs"),
        (lambda u: np.floor(u * 2**12) / 2**12, "birthdays"),
        (lambda u: np.where(np.arange(len(u)) % 2, np.roll(u, 1), u), "chi2 2d"),
    ],
    ids=["skewed", "correlated", "sorted", "coarse", "twice"],
)
def test_what_is_spoilt_is_noticed(spoil: Any, noticed: str) -> None:
    u = np.random.default_rng(3).random(40_000)
    assert p_values(u)[noticed] > 1e-3
    assert p_values(spoil(u))[noticed] < 1e-6


def test_too_few_or_equal_numbers_are_no_defect() -> None:
    for u in (np.zeros(0), np.array([0.5]), np.array([0.1, 0.9]), np.zeros(500)):
        assert all(0 <= p <= 1 for p in p_values(u).values())
    assert trials.lowest_bits(np.zeros(7, dtype=np.uint64)) is None


def test_a_modulus_beyond_64_bits_is_refused() -> None:
    with pytest.raises(UserError, match="modulus"):
        made({"name": "lcg", "modulus": 2**65})
