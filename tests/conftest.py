"""Fixtures that many tests share."""

import sys
from pathlib import Path

import pytest
import torch

from genexp.data.cells import UniformCells

TINY = [
    "trainer.max_steps=2",
    "trainer.batch_size=32",
    "trainer.eval_size=64",
    "trainer.log_every=1",
    "evaluation.num_samples=400",
    "evaluation.num_points=128",
    "evaluation.ode_points=16",
    "figures.log_density_side=4",
    "figures.gif_points=50",
    "figures.gif_frames=3",
]


@pytest.fixture
def tiny() -> list[str]:
    """Overrides that make any experiment a matter of seconds."""
    return list(TINY)


@pytest.fixture
def small_cells() -> UniformCells:
    """A lopsided density: five cells of a 3 × 4 grid, off centre."""
    mask = torch.tensor([[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)
    return UniformCells(mask, left=-0.7, top=0.5, cell=0.3)


@pytest.fixture
def genexp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`genexp("run", …)` in an empty folder, in this process: exit code, standard output, standard error."""
    from genexp.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["genexp", *arguments])
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
