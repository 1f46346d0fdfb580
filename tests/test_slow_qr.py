"""The long trainings behind the README's numbers about QR codes."""

import json
from pathlib import Path

import pytest

from genexp.cli import main

pytestmark = pytest.mark.slow


def metrics(tmp_path: Path, *overrides: str) -> dict:
    run = tmp_path / "run"
    assert main(["run", f"run_dir={run}", "figures.enabled=false", *overrides]) == 0
    return json.loads((run / "metrics.json").read_text())


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("text", ["https://qrco.de/bg6AQE", "I was sampled, not drawn."])
def test_the_default_run_scans_and_leaks_little(tmp_path: Path, seed: int, text: str) -> None:
    found = metrics(tmp_path, f"seed={seed}", f"dataset.text='{text}'")
    assert found["decoded"] == text
    assert found["leak"] < 0.005
    assert found["nll"] - found["floor/nll"] < 0.04
    assert found["excess_loss"] < 1e-3


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_every_size_up_to_version_6_scans_at_the_default_settings(tmp_path: Path, version: int) -> None:
    found = metrics(tmp_path, f"dataset.version={version}", "dataset.text=version")
    assert found["scannable"] == 1
    assert found["leak"] < 0.005


def test_fourier_features_scan_with_more_steps(tmp_path: Path) -> None:
    found = metrics(tmp_path, "experiment=qr_fourier")
    assert found["scannable"] == 1
    assert found["leak"] < 0.01


@pytest.mark.parametrize("version", [10, 25, 40])
def test_large_codes_scan_at_the_default_settings(tmp_path: Path, version: int) -> None:
    found = metrics(tmp_path, f"dataset.version={version}")
    assert found["decoded"] == found["decoded_opencv"] == "I was sampled, not drawn."
    assert found["leak"] < 0.02


def test_without_fourier_features_it_does_not_scan(tmp_path: Path) -> None:
    assert metrics(tmp_path, "experiment=qr_plain")["scannable"] == 0
