"""The long trainings behind the README's numbers about discrete flows."""

import pytest

from tests.test_slow_qr import metrics

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ours_learns_the_double_gaussian_and_leaves_no_bridge(tmp_path, seed: int) -> None:
    found = metrics(tmp_path, "experiment=double_gaussian", f"seed={seed}")
    assert 0 <= found["kl"] < 5e-5
    assert found["mass"] == pytest.approx(1, abs=1e-3)
    assert found["bridge_mass"] == pytest.approx(found["exact/bridge_mass"], rel=0.2)
    assert found["invertibility_error"] < 1e-4


def test_the_articles_flow_stops_where_the_article_did(tmp_path) -> None:
    found = metrics(tmp_path, "experiment=seminar/double_gaussian")
    assert 0.03 < found["kl"] < 0.06
    assert found["bridge_mass"] > 2 * found["exact/bridge_mass"]
