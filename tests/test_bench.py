"""`genexp bench`: that it compares like with like, reckons rightly, and prints every row. Nothing here is a matter of time."""

import importlib
import json
import math
import multiprocessing.dummy
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genexp.bench import after, machine, ours, processes, program, scaling
from genexp.bench import worker as working
from genexp.bench.after import After
from genexp.bench.cases import CASES, Case
from genexp.bench.gate import Described, Gate, Race, Ran, Slice, Stop
from genexp.bench.machine import Peaks
from genexp.bench.program import Request, check
from genexp.bench.race import Finish
from genexp.bench.report import growth_lines, race_lines, speed_table
from genexp.bench.scaling import Growth, Point, measure_scaling
from genexp.bench.speed import Row, ratio
from genexp.bench.startup import StartUp
from genexp.bench.statistics import Spread, exponent, ratios
from genexp.bench.worker import Ended, Task, Worker, build, settings_of, work
from genexp.data import glyphs
from genexp.data.base import Batch
from genexp.data.glyphs import draw_glyphs
from genexp.errors import UserError
from genexp.fetch import default_data_dir, sets
from genexp.registry import models

NAMED = [case for case in CASES.values() if not case.name.endswith("_64")]  # which differ from others by their data alone
EVERY = [(case, contender) for case in NAMED for contender in case.contenders]


@pytest.fixture(autouse=True)
def _few_photographs_are_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small folder of fruit counts as the whole set: to draw the embedded one takes long."""
    whole = sets.is_there
    few = {"fruit": lambda: (default_data_dir() / "fruit" / "train").is_dir()}
    monkeypatch.setattr(sets, "is_there", lambda name: few[name]() if name in few else whole(name))


class Pipe:
    """The measuring end of a channel, in this process: grants what is in `orders` and then nothing more."""

    def __init__(self, orders: list[Slice]) -> None:
        self.orders, self.said = orders, []

    def send(self, message: Any) -> None:
        self.said.append(message)

    def recv(self) -> Slice | None:
        return self.orders.pop(0) if self.orders else None


# --- the numbers ---------------------------------------------------------------------------------------------


def test_spread_and_ratios_are_taken_round_by_round() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    # the second round is four times slower for both: the ratio does not see it
    assert ratios([8.0, 2.0, 12.0], [2.0, 0.5, 4.0]) == Spread(4.0, 3.0, 4.0)


def test_ratio_is_of_examples_not_of_steps() -> None:
    plain = Row("plain", Described(1, 100, 0), [1.0, 2.0], 0)
    other = Row("other", Described(1, 10, 0), [20.0, 30.0], 0)
    assert ratio(other, plain) == Spread(1.75, 1.5, 2.0)
    assert ratio(Row("broken", None, [], 0, "why"), plain) is None


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_exponent_of_a_power_law(power: float) -> None:
    sizes = [1.0, 3.0, 10.0, 100.0]
    assert exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power)
    assert math.isnan(exponent([2.0], [1.0]))


def test_floating_point_rate_is_operations_by_steps() -> None:
    row = Row("", Described(1, 1, flops=3_000_000_000), [2.0, 4.0, 6.0], 0)
    assert row.gigaflops == pytest.approx(12.0)


def test_step_of_a_linear_layer_is_counted() -> None:
    from genexp.bench.flops import describe

    layer = nn.Linear(5, 7, bias=False)
    x = torch.randn(11, 5)
    described = describe(layer, 11, lambda: layer(x).sum())
    assert described == Described(35, 11, 2 * (2 * 11 * 5 * 7))  # forward, and the weights' gradient; x needs none
    assert layer.weight.grad is None


# --- the gate ------------------------------------------------------------------------------------------------


def test_gate_lets_through_what_was_granted_and_reports_it() -> None:
    pipe = Pipe([Slice(0.0, 3), Slice(0.0, 5)])
    gate, passed = Gate(pipe), 0
    with suppress(Stop):
        while True:
            gate.step()
            passed += 1
    assert passed == 8
    assert [message.steps for message in pipe.said] == [3, 5]
    assert all(isinstance(message, Ran) and message.seconds > 0 for message in pipe.said)


def test_race_ends_at_the_first_look_that_is_good_enough() -> None:
    race = Race(target=0.5, every=2)
    gate, values = Gate(Pipe([]), race), iter([0.9, 0.4, 0.1])
    with suppress(Stop):
        while True:
            gate.step()
            if gate.due:
                gate.judge(lambda: (next(values), False))
    assert race.reached
    assert [(steps, value) for _, steps, value in race.looks] == [(2, 0.9), (4, 0.4)]


def test_race_for_as_long_has_one_look_after_its_cpu_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("genexp.bench.gate._now", lambda: (0.0, float(next(clock))))
    race = Race(target=None, every=3, budget=20.0)
    gate = Gate(Pipe([]), race)
    with suppress(Stop):
        while True:
            gate.step()
            if gate.due:
                gate.judge(lambda: (0.7, False))
    ((_, steps, value),) = race.looks
    assert race.reached
    assert (steps % 3, value) == (0, 0.7)
    assert 20 <= race.cpu_seconds < 40


def test_flows_race_on_any_data_of_the_plane_and_the_others_on_their_own() -> None:
    maf, words = CASES["maf"], ("dataset=two_moons", "seed=1")
    check(Request(["maf"], race_for=1.0, overrides=words))
    assert settings_of(maf, maf.trainer, words).dataset["name"] == "two_moons"
    with pytest.raises(UserError, match="the plain loops would not follow"):
        check(Request(["maf", "double_gaussian"], race_for=1.0, overrides=words))


def test_race_that_takes_too_long_is_not_reached() -> None:
    race = Race(target=None, every=1)
    gate = Gate(Pipe([]), race, limit=0.0)
    with pytest.raises(Stop):
        gate.step()
    assert not race.reached


# --- like with like ------------------------------------------------------------------------------------------


def carry_over(source: nn.Module, target: nn.Module) -> None:
    """The weights of `source`, in order, into `target`: as many, and of the same shapes."""
    weights = [value for name, value in source.state_dict().items() if keeps(name, value)]
    places = [name for name, value in target.state_dict().items() if keeps(name, value)]
    assert [value.shape for value in weights] == [target.state_dict()[name].shape for name in places]
    target.load_state_dict(dict(zip(places, weights, strict=True)), strict=False)


def keeps(name: str, value: torch.Tensor) -> bool:
    """Whether it is a weight, and not a number that only ours keeps, or the last layer by its second name."""
    ours = name.endswith(("centre", "spread", "data_scale", "trained_steps", "log_sigma")) or name.startswith("decoder.last.")
    return value.numel() > 0 and not ours


def article_model(name: str) -> tuple[Any, Any]:
    """The model of the trainer's row of a case, and its data."""
    case = CASES[name]
    made = build(case, case.trainer)
    torch.manual_seed(0)
    return models.build(made.settings.model, made.data.spec), made.data


def notebook_flow() -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]:
    from genexp.article.notebooks.double_gaussian import make_flow

    flow = make_flow()
    return flow, lambda x: -flow.log_prob(x).mean()


def notebook_mnist() -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]:
    from genexp.article.notebooks.mnist_vae import VAE

    model = VAE()
    return model, model.loss


def notebook_fruit() -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]:
    from genexp.article.notebooks.fruit_vae_iaf import IAFVAE

    model = IAFVAE()
    constant = 3 * 96 * 96 * 0.5 * math.log(math.pi)  # ln of the normalisation of a Gaussian with σ² = ½
    return model, lambda x: model.loss(x) + constant


@pytest.mark.parametrize(
    ("name", "notebook"),
    [("double_gaussian", notebook_flow), ("mnist_vae", notebook_mnist), ("fruit_vae_iaf", notebook_fruit)],
)
def test_notebook_and_trainer_train_the_same_model(name: str, notebook: Callable[[], Any]) -> None:
    ours, data = article_model(name)
    plain, loss = notebook()
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in ours.parameters() if p.requires_grad)
    carry_over(plain, ours)
    batch = data.train_stream(32, 0).next()
    values, slopes = [], []
    for model, objective in ((plain, lambda: loss(batch.x)), (ours, lambda: ours.loss(batch)["loss"])):
        torch.manual_seed(1)
        value = objective()
        value.backward()
        values.append(float(value.detach()))
        slopes.append(torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).sort().values)
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-3, atol=1e-5)


def test_notebook_and_trainer_train_the_same_field(monkeypatch: pytest.MonkeyPatch) -> None:
    from genexp.article.notebooks.qr_flowmatch import Network, flow_matching_loss

    ours, data = article_model("qr_flowmatch")
    plain = Network()
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in ours.parameters())
    carry_over(plain, ours)
    y = data.sample(500)
    noise, t = torch.randn(500, 2), torch.rand(500).clamp(1e-5, 1 - 1e-5)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: t)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    monkeypatch.setattr(ours.times, "draw", lambda n, device: t)
    torch.testing.assert_close(flow_matching_loss(plain, y), ours.loss(Batch(y))["loss"], rtol=1e-5, atol=1e-6)


def test_notebook_draws_from_the_code_that_the_data_set_is() -> None:
    from genexp.article.notebooks.qr_flowmatch import black_pixels

    _, data = article_model("qr_flowmatch")
    pixels = black_pixels(data.density.mask, reach=-data.density.left)
    assert bool(data.density.contains(pixels).all())
    assert len(pixels) * (2 * 0.8 / 3000) ** 2 == pytest.approx(data.density.area, rel=0.15)


@pytest.mark.parametrize(("case", "contender"), EVERY, ids=[f"{case.name}-{one.name}" for case, one in EVERY])
def test_every_contender_trains_at_the_gate(case: Any, contender: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if contender.extra is not None and find_spec(contender.extra) is None:
        pytest.skip(f"{contender.extra} is not installed")
    few = () if contender.loop else ("trainer.batch_size=16", "trainer.compile=false")
    if contender.experiment == "fruit_vae_iaf":
        few += ("model.network.components=12", "model.latent=4")
    if contender.loop:
        monkeypatch.setattr(importlib.import_module(contender.loop.partition(":")[0]), "BATCH_SIZE", 16)
    pipe = Pipe([Slice(0.0, 1)])
    work(pipe, Task(case, contender, few))
    described, ran, ended = pipe.said
    assert isinstance(ended, Ended)
    assert ended.failure is None
    assert ended.peak_memory > 1e6
    assert ran.steps == 1
    assert described.flops > 0


def test_missing_library_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "zuko", None)
    monkeypatch.delitem(sys.modules, "genexp.bench.peers.zuko_flow", raising=False)
    pipe = Pipe([Slice(0.0, 1)])
    work(pipe, Task(CASES["double_gaussian"], CASES["double_gaussian"].contender("zuko")))
    (ended,) = pipe.said
    assert ended.failure == "zuko is not installed: pip install 'genexp[bench]'"


def test_folder_without_its_files_is_no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert CASES["mnist_vae"].has_data()
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("GENEXP_DATA", str(tmp_path))
    assert not CASES["mnist_vae"].has_data()
    assert program.data_of(CASES["mnist_vae"]) == "glyphs, embedded, in place of mnist"
    assert program.data_of(CASES["double_gaussian"]) == "double_gaussian"


def test_default_run_is_of_the_experiment_whose_pace_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = CASES["mnist_vae"]
    monkeypatch.setenv("GENEXP_DATA", str(tmp_path))
    monkeypatch.setattr(glyphs, "draw_glyphs", lambda n, *how: draw_glyphs(max(10, n // 100), *how))
    monkeypatch.setattr(after, "STEPS", ("trainer.max_steps=2", "trainer.eval_every=2"))
    monkeypatch.setattr(after, "SAMPLED_FOR", 0.01)
    pipe = Pipe([])
    few = (
        "evaluation.num_samples=20",
        "evaluation.importance_samples=2",
        "evaluation.quadrature_side=8",
        "evaluation.classifier_steps=2",
        "figures.enabled=false",
    )
    after._run(pipe, case, few)
    (found,) = pipe.said
    assert found.experiment == case.best.experiment
    assert found.default_steps == build(case, case.best).settings.trainer.max_steps


@pytest.mark.usefixtures("_threads")
def test_users_mistake_in_a_process_is_raised_here() -> None:
    def mistaken(channel: Any, what: str) -> None:
        raise UserError(what, hint="mend it")

    with pytest.raises(UserError, match="too much") as caught:
        processes.ask(mistaken, "too much")
    assert caught.value.hint == "mend it"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.message, again.hint) == ("too much", "mend it")


@pytest.mark.usefixtures("_threads")
def test_users_mistake_in_a_worker_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: Any) -> None:
        raise UserError("this cannot be")

    monkeypatch.setattr(working, "_train", mistaken)
    with pytest.raises(UserError, match="this cannot be"), Worker(Task(CASES["mnist_vae"], CASES["mnist_vae"].best)):
        pass


def test_embedded_data_stand_in_for_data_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = CASES["mnist_vae"]
    assert build(case, case.trainer).settings.dataset["name"] == "mnist"
    monkeypatch.setenv("GENEXP_DATA", str(tmp_path))
    monkeypatch.setattr(glyphs, "draw_glyphs", lambda n, *how: draw_glyphs(10, *how))
    made = build(case, case.trainer)
    assert made.settings.dataset["name"] == "glyphs"
    assert made.settings.model["network"]["encoder_widths"] == (256, 128, 64)


def test_trainer_row_has_the_notebooks_arithmetic() -> None:
    for case in NAMED:
        row, fast = (build(case, case.contender(name)).settings for name in ("trainer", "trainer, fast"))
        assert (row.trainer.precision, row.trainer.compile) == ("float32", False)
        assert fast.model == row.model
        assert fast.trainer.batch_size == row.trainer.batch_size
        assert (fast.trainer.precision, fast.trainer.compile) != ("float32", False)


def test_every_row_names_its_arithmetic_and_is_held_against_the_peak_of_it() -> None:
    plain = Row("plain", Described(1, 1, 10_000_000_000), [1.0], 0)
    fast = Row("fast", Described(1, 1, 10_000_000_000, "bf16", compiled=True), [2.0], 0)
    head, *lines = speed_table([plain, fast], Peaks("cpu", 1, float32=20.0, bf16=80.0))
    assert "of its peak" in head
    assert [("bf16, compiled" in line, "float32" in line) for line in lines] == [(False, True), (True, False)]
    assert ["50%" in line for line in lines] == [True, False]
    assert "25%" in lines[1]
    assert "2 [2 … 2]" in lines[1]


def test_trainer_tells_the_arithmetic_it_used() -> None:
    case = CASES["double_gaussian"]
    pipe = Pipe([Slice(0.0, 1)])
    work(pipe, Task(case, case.trainer, ("trainer.precision=bf16", "trainer.batch_size=16")))
    assert pipe.said[0].arithmetic == "bf16"


@pytest.mark.parametrize("case", NAMED, ids=[case.name for case in NAMED])
def test_both_sides_of_a_race_are_looked_at_after_as_many_examples(case: Case) -> None:
    sizes = []
    for contender in (case.trainer, case.race[1]):
        batch_size = build(case, contender).settings.trainer.batch_size
        gate = Gate(Pipe([]), Race(None, case.look_every))
        gate.describe(Described(1, batch_size, 0))
        sizes.append(gate.look_every * batch_size)
    assert sizes == [case.look_every, case.look_every]


def test_our_side_of_a_race_is_looked_at_when_the_race_says() -> None:
    case = CASES["double_gaussian"]
    pipe = Pipe([])
    few = ("trainer.batch_size=16", "trainer.max_steps=6", "trainer.eval_every=5")
    work(pipe, Task(case, case.race[1], few, Race(-1.0, every=32)))
    assert [steps for _, steps, _ in pipe.said[-1].race.looks][:3] == [2, 4, 6]


@pytest.mark.parametrize(
    ("plain", "ours", "said"),
    [
        ((True, 8.0), (True, 2.0), ["  ours: 4.0 times faster"]),
        ((True, 5.0), (True, 8.0), ["  ours: 1.6 times slower"]),
        ((False, 8.0), (True, 2.0), ["  ours: more than 4.0 times faster"]),
        ((False, 5.0), (True, 8.0), []),
        ((True, 5.0), (False, 8.0), ["  ours: more than 1.6 times slower"]),
        ((True, 8.0), (False, 2.0), []),
        ((False, 8.0), (False, 2.0), []),
    ],
)
def test_race_says_faster_or_slower(plain: tuple[bool, float], ours: tuple[bool, float], said: list[str]) -> None:
    case = CASES["double_gaussian"]
    finishes = [Finish(name, *end, 100, 0.04, 0.5) for name, end in (("notebook", plain), ("best", ours))]
    head, first, second, *rest = race_lines(case, finishes, None)
    assert "a look every 12,800 examples" in head
    assert "the article's setting, run here: 0.043 ± 0.003" in head
    assert "run here" not in next(race_lines(case, finishes, 0.1))
    assert "looks 0.5 s apart" in first
    assert "looks 0.5 s apart" in second
    assert rest == said


# --- the whole -----------------------------------------------------------------------------------------------

FEW = (
    "trainer.batch_size=32",
    "trainer.compile=false",
    "evaluation.num_samples=400",
    "evaluation.num_points=128",
    "figures.log_density_side=4",
    "figures.gif_points=50",
    "figures.gif_frames=3",
    "figures.gif_size=64",
)


@pytest.fixture
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of this process in place of processes, and no waiting for programs to start."""

    def start(target: Callable[..., None], *arguments: Any) -> processes.Started:
        ours, theirs = multiprocessing.dummy.Pipe()
        thread = multiprocessing.dummy.Process(target=target, args=(theirs, *arguments))
        thread.start()
        return processes.Started(thread, ours)

    monkeypatch.setattr(processes, "start", start)
    monkeypatch.setattr(program, "measure_startup", lambda repeats: StartUp([0.1] * repeats, [0.2] * repeats, [4.0] * repeats))
    monkeypatch.setattr(machine, "SIDES", (8, 16))
    monkeypatch.setattr(after, "STEPS", ("trainer.max_steps=2", "trainer.eval_every=2"))
    monkeypatch.setattr(after, "SAMPLED_FOR", 0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("_threads")
def test_bench_prints_every_row(genexp: Callable[..., Any]) -> None:
    code, out, err = genexp("bench", "double_gaussian", "--repeat", "2", "--seconds", "0.01", *FEW)
    assert code == 0, err
    lines = out.splitlines()
    for name in ("notebook (nflows)", "trainer", "trainer, fast", "best", "zuko"):
        (row,) = [line for line in lines if line.startswith(f"  {name}  ")]
        assert "MB" in row
    assert lines[2] == "double_gaussian: double_gaussian"
    assert "  notebook (nflows)" in lines[4]
    assert "1 [1 … 1]" in lines[4]
    for text in ("GFLOP/s in float32", "sampling: ", "figures and animations", "genexp --help", "until the first step"):
        assert text in out


@pytest.mark.slow
@pytest.mark.usefixtures("_threads")
def test_bench_as_json(genexp: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "measure_after", lambda case, overrides: After("x", 1.0, 2.0, math.nan, None))
    code, out, err = genexp("bench", "double_gaussian", "--repeat", "1", "--seconds", "0.01", "--json", *FEW)
    assert code == 0, err
    found = json.loads(out[out.index("{") :])  # what threads print comes first
    rows = found["cases"]["double_gaussian"]["rows"]
    assert [row["contender"] for row in rows] == ["notebook (nflows)", "trainer", "trainer, fast", "best", "zuko"]
    assert all(len(row["steps_per_second"]) == 1 for row in rows if row["failure"] is None)
    assert found["cases"]["double_gaussian"]["after"]["seconds_drawing"] is None  # JSON has no NaN
    assert found["startup"]["first_step"] == [4.0]


@pytest.mark.usefixtures("_threads")
def test_race_of_both_contenders(genexp: Callable[..., Any]) -> None:
    code, out, err = genexp("bench", "double_gaussian", "--time-to", "9", "trainer.compile=false")
    assert code == 0, err
    assert "kl ≤ 9" in out
    assert "double_gaussian: double_gaussian" in out
    assert "a look every 12,800 examples" in out
    assert all(f"{name}: " in out for name in ("notebook", "best"))


@pytest.mark.usefixtures("_threads")
def test_scaling_names_what_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(CASES["double_gaussian"], batch_sizes=(8, 64), widths=("model.conditioner.width", ("4", "16")))
    growths = list(measure_scaling(case, Slice(0.0, 2), (10, 5000), (), lambda text: None))
    assert [growth.what for growth in growths] == ["trainer.batch_size", "model.conditioner.width", "samples"]
    assert [[point.size for point in growth.points] for growth in growths] == [[8, 64], [4, 16], [10, 5000]]
    assert all(point.seconds > 0 for growth in growths for point in growth.points)


@pytest.mark.usefixtures("_threads")
def test_scaling_tells_what_failed() -> None:
    case = replace(CASES["double_gaussian"], batch_sizes=(8,), widths=("model.conditioner.width", ("4", "0")))
    batch, width, _ = measure_scaling(case, Slice(0.0, 2), (10,), (), lambda text: None)
    assert not batch.failures
    assert [point.value for point in width.points] == ["4"]
    (failed,) = [line for line in growth_lines(width) if "not measured" in line]
    assert "0: " in failed
    assert "model.conditioner.width" in failed


@pytest.mark.usefixtures("_threads")
def test_what_would_be_sampled_for_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "_sampling", lambda case, contender, count, overrides: Point(f"{count:,}", count, count / 10, 0))
    case = replace(CASES["double_gaussian"], batch_sizes=(), widths=("model.conditioner.width", ()))
    *_, samples = measure_scaling(case, Slice(0.0, 2), (1000, 3000, 9000), (), lambda text: None)
    assert [point.size for point in samples.points] == [1000, 3000]
    assert "  not measured: 9,000: it would take about 15 minutes" in list(growth_lines(samples))


def test_scaling_of_nothing_is_said_in_one_line() -> None:
    growth = Growth("double_gaussian", "model.conditioner.width", "a training step", [], ["4: no memory", "8: no memory"])
    assert math.isnan(growth.time_exponent)
    assert math.isnan(growth.memory_exponent)
    assert list(growth_lines(growth))[1:] == ["  nothing could be measured: 4: no memory"]


def test_model_that_is_sampled_is_on_the_device_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["double_gaussian"]
    moved, real = [], nn.Module.to
    monkeypatch.setattr(ours, "data_device", lambda data: torch.device("cpu", 0))
    monkeypatch.setattr(nn.Module, "to", lambda self, *where, **how: moved.append(where) or real(self, *where, **how))
    pipe = Pipe([])
    scaling._sample(pipe, case, case.best, 10, ())
    assert (torch.device("cpu", 0),) in moved
    assert pipe.said[0][0] > 0


def test_article_is_not_raced_on_embedded_data(
    genexp: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENEXP_DATA", str(tmp_path))
    code, _, err = genexp("bench", "mnist_vae", "--time-to", "article")
    assert code == 2
    assert "the data set mnist is not in" in err
    assert "genexp data fetch mnist" in err


@pytest.mark.slow
def test_bench_in_processes_of_its_own(genexp: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = genexp("bench", "double_gaussian", "--repeat", "1", "--seconds", "0.1", "--json", *FEW)
    assert code == 0, err
    found = json.loads(out)
    assert all(row["peak_memory"] > 1e8 for row in found["cases"]["double_gaussian"]["rows"])
    assert found["startup"]["first_step"][0] > found["startup"]["help"][0] > 0


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (["bench", "mnist"], "did you mean 'mnist_vae'?"),
        (["bench", "--repeat", "0"], "0 is not a positive number"),
        (["bench", "all", "--time-to", "good"], "neither a number nor article"),
        (["bench", "double_gaussian", "trainer.lrr=1"], "did you mean 'trainer.lr'?"),
        (["bench", "mnist_vae", "--time-to", "9", "model.latnet=2"], "did you mean 'model.latent'?"),
        (["bench", "all", "--scaling", "trainer.lrr=1"], "did you mean 'trainer.lr'?"),
        (["bench", "mnist_vae", "data_dir=/tmp"], "data_dir=/tmp: the plain loops would not follow"),
        (["bench", "mnist_vae", "device=cpu"], "device=cpu: the plain loops would not follow"),
        (["bench", "mnist_vae", "dataset.validation=10"], "dataset.validation=10: the plain loops would not follow"),
        (["bench", "mnist_vae", "+dataset=glyphs"], "the plain loops would not follow"),
        (["bench", "mnist_vae", "--time-to", "9", "trainer.eval_every=1"], "looked at after as many examples"),
        (["bench", "--time-to", "9", "--repeat", "2"], "--repeat says nothing with --time-to"),
        (["bench", "--time-to", "9", "--seconds", "2"], "--seconds says nothing with --time-to"),
        (["bench", "--time-to", "9", "--scaling"], "--scaling says nothing with --time-to"),
        (["bench", "--scaling", "--repeat", "2"], "--repeat says nothing with --scaling"),
        (["bench", "--limit", "2"], "--limit says nothing without --time-to"),
    ],
)
def test_mistakes(genexp: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, typed: list[str], error: str) -> None:
    def measured(*_: Any) -> None:
        raise AssertionError("a mistake was found out too late")

    monkeypatch.setattr(processes, "start", measured)
    code, _, err = genexp(*typed)
    assert code == 2
    assert error in err


ORPHAN = """
import os, signal, threading
from genexp.bench.processes import start

def forever(channel):
    channel.send("here")
    threading.Event().wait()

if __name__ == "__main__":
    assert start(forever).channel.recv() == "here"
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_measures_ends_with_the_process_that_asked(tmp_path: Path) -> None:
    """Even when that is killed: its output, which the other process holds too, comes to an end."""
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    ended = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL


def test_what_is_done_for_a_look_is_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0, 0.0]
    monkeypatch.setattr("genexp.bench.gate._now", lambda: (now[0], now[1]))
    gate = Gate(Pipe([]), Race(target=None, every=1))

    def work_for(seconds: float) -> None:
        now[0], now[1] = now[0] + seconds, now[1] + 2 * seconds

    gate.hold()  # nothing has been trained yet: a first look at the data counts
    work_for(1.0)
    gate.step()
    work_for(2.0)
    gate.hold()
    work_for(4.0)
    gate.judge(lambda: (work_for(8.0), (0.5, False))[1])
    work_for(16.0)
    gate.step()
    work_for(32.0)
    gate.judge(lambda: (work_for(64.0), (0.4, False))[1])
    work_for(128.0)
    gate.judge(lambda: (0.3, False))
    assert [seconds for seconds, _, _ in gate.race.looks] == [3.0, 35.0, 163.0]
    assert gate.race.cpu_seconds == 326.0
