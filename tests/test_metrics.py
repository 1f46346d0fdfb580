"""Metrics on inputs whose answer is known exactly."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.data.cells import UniformCells
from genexp.folder.run_folder import RunFolder
from genexp.measures.barcode import draw_points
from genexp.measures.cells import share_outside, variation
from genexp.measures.distances import sliced_wasserstein
from genexp.measures.excess import excess_of_field
from genexp.velocity.path import flow_matching_loss
from tests.parts import corners

CPU = torch.device("cpu")


def test_leak_is_the_share_outside(small_cells: UniformCells) -> None:
    inside = small_cells.sample(300, torch.Generator().manual_seed(0))
    outside = torch.tensor([[5.0, 5.0], [-0.25, 0.45], [0.0, -0.35]]).repeat(34, 1)[:100]
    assert share_outside(inside, small_cells) == 0
    assert share_outside(torch.cat([inside, outside]), small_cells) == 0.25
    assert share_outside(outside, small_cells) == 1


def test_module_tv_of_points_all_in_one_cell(small_cells: UniformCells) -> None:
    black = int(small_cells.mask.sum())
    one = torch.tensor([[-0.65, 0.45]]).expand(500, 2)
    assert variation(one, small_cells) == pytest.approx(1 - 1 / black)
    assert variation(torch.full((500, 2), 9.0), small_cells) == pytest.approx(1)
    centres = corners(small_cells) + small_cells.cell / 2
    assert variation(centres.repeat(7, 1), small_cells) == pytest.approx(0, abs=1e-12)


class Off:
    """The optimal velocity, and a constant more."""

    def __init__(self, cells: UniformCells, by: float) -> None:
        self.cells, self.by = cells, by

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        return self.cells.optimal_velocity(x, t) + self.by

    def trajectory(self, x0: Tensor, frames: int) -> Tensor:
        raise NotImplementedError


@pytest.mark.parametrize("by", [0.0, 0.3, -2.0])
def test_excess_loss_is_the_squared_distance_from_the_optimal_field(small_cells: UniformCells, by: float) -> None:
    assert excess_of_field(Off(small_cells, by), small_cells, 500, CPU) == pytest.approx(by**2, abs=1e-6)


class Late(Off):
    """The optimal velocity, and t more."""

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        return self.cells.optimal_velocity(x, t) + t[:, None]


def test_excess_loss_is_the_mean_over_all_times(small_cells: UniformCells) -> None:
    assert excess_of_field(Late(small_cells, 0), small_cells, 3000, CPU) == pytest.approx(1 / 3, abs=1e-3)  # E[t²]


def test_loss_is_floor_plus_excess(small_cells: UniformCells) -> None:
    y = small_cells.sample(200_000, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    optimal = float(flow_matching_loss(small_cells.optimal_velocity, y))
    torch.manual_seed(0)
    off = float(flow_matching_loss(Off(small_cells, 0.3).velocity, y))
    assert optimal == pytest.approx(small_cells.irreducible_loss(), abs=0.01)
    assert off - optimal == pytest.approx(0.09, abs=0.005)


def test_wasserstein_of_a_shift_is_the_mean_projection_of_the_shift() -> None:
    x = torch.randn(400, 2)
    shift = torch.tensor([3.0, -4.0])
    expected = 5 * 2 / math.pi  # of |cos| over all directions
    assert sliced_wasserstein(x, x) == 0
    assert sliced_wasserstein(x, x + shift) == pytest.approx(expected, rel=2e-3)
    assert sliced_wasserstein(x, (x + shift)[torch.randperm(400)]) == pytest.approx(expected, rel=2e-3)


def test_wasserstein_on_a_line_and_in_space() -> None:
    generator = torch.Generator().manual_seed(0)
    line, space = torch.randn(500, 1, generator=generator), torch.randn(500, 3, generator=generator)
    assert sliced_wasserstein(line, line.flip(0) - 1.5) == pytest.approx(1.5, rel=1e-5)
    shift = torch.tensor([1.0, -2.0, 2.0])
    assert sliced_wasserstein(space, space + shift, directions=4000) == pytest.approx(3 / 2, rel=0.03)  # E|cos| on a sphere is ½
    assert sliced_wasserstein(space, space.flip(0)) == pytest.approx(0, abs=1e-12)


def test_points_in_the_upper_left_are_black_in_the_upper_left() -> None:
    points = np.random.default_rng(0).random((20_000, 2)) * [0.8, 0.4] + [-0.9, 0.5]  # x from −0.9 to −0.1, y from 0.5 to 0.9
    black = draw_points(points, pixels=100) == 0
    rows, columns = np.nonzero(black)
    assert (rows.min(), rows.max()) == pytest.approx((5, 24), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((5, 44), abs=2)
    assert black[8:22, 8:42].all()


def test_numbers_that_are_not_finite_become_null_and_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create("test", str(tmp_path / "run"))
    folder.write_metrics({"good": 1.5, "kl": math.inf, "none": None, "text": "x"})
    assert json.loads((folder.path / "metrics.json").read_text()) == {"good": 1.5, "kl": None, "none": None, "text": "x"}
    assert "warning: kl is inf" in capsys.readouterr().out
    folder.log_history({"step": 1, "loss": 2.0, "extra": math.nan})
    assert folder.history() == [{"step": 1, "loss": 2.0}]


def test_a_torn_line_of_history_is_left_out(tmp_path: Path) -> None:
    folder = RunFolder.create("test", str(tmp_path / "run"))
    for step in (1, 2, 3):
        folder.log_history({"step": step})
    with (folder.path / "history.jsonl").open("a") as file:
        file.write('{"step": 4, "los')
    assert [line["step"] for line in folder.history()] == [1, 2, 3]
    folder.cut_history(2)
    folder.log_history({"step": 3})
    assert [line["step"] for line in folder.history()] == [1, 2, 3]
