"""Ten million numbers of every source and transform: each statistic is as it should be, but where theory says that it is not."""

from typing import Any

import numpy as np
import pytest

from genexp.samplers import trials
from genexp.samplers.base import Stream, sources, transforms

pytestmark = pytest.mark.slow

N = 10**7
LEAST = 1e-4  # a p-value that one honest statistic in ten thousand is below
BEYOND = 1e-10  # and one that none is
FAILS = {  # an LCG's points lie on planes, so that its birthdays are too often spaced alike; its lowest bits have short periods
    "lcg-randu": {"chi2 3d", "birthdays", "lowest bits"},
    "lcg-minstd": {"birthdays"},
    "lcg-mmix": {"lowest bits"},
}
SOURCES: dict[str, dict[str, Any]] = {
    **{f"lcg-{preset}": {"name": "lcg", "preset": preset} for preset in ("randu", "minstd", "mmix")},
    **{name: {"name": name} for name in sources.names() if name != "lcg"},
}
TRANSFORMS: dict[str, tuple[dict[str, Any], int]] = {
    **{name: ({"name": name}, 2) for name in transforms.names()},
    "two peaks": ({"name": "inverse_cdf", "density": "two_peaks"}, 1),
    "correlated": ({"name": "cholesky", "correlation": 0.999}, 2),
}


def p_values(u: np.ndarray) -> dict[str, float]:
    found = {"ks": trials.kolmogorov_smirnov(u), "serial": trials.serial_correlation(u), "runs": trials.runs(u)}
    found |= {f"chi2 {dims}d": trials.chi_square(u, dims) for dims in (1, 2, 3)}
    return {name: trial.p for name, trial in found.items() if trial is not None}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_fails_where_theory_says_and_nowhere_else(name: str) -> None:
    source = sources.build(SOURCES[name])
    u = Stream(source, 1).uniform(N).numpy()
    found = p_values(u)
    for test, trial in (
        ("birthdays", trials.birthday_spacings(u)),
        ("lowest bits", trials.lowest_bits(Stream(source, 1).words(N))),
    ):
        assert trial is not None
        found[test] = trial.p
    fails = FAILS.get(name, set())
    assert {test for test, p in found.items() if p < LEAST} == fails
    assert all(found[test] < BEYOND for test in fails)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_a_transform_gives_is_distributed_as_it_says(name: str) -> None:
    settings, dim = TRANSFORMS[name]
    transform = transforms.build(settings, dim)
    drawn = transform.draw(Stream(sources.build({"name": "pcg64"}), 7, 32), N // dim)
    assert all(p > LEAST for p in p_values(transform.uniformised(drawn.x).flatten().numpy()).values())
    if transform.acceptance is not None:
        error = (transform.acceptance * (1 - transform.acceptance) / drawn.proposed) ** 0.5
        assert drawn.kept / drawn.proposed == pytest.approx(transform.acceptance, abs=4 * error)
