"""`genexp bench toys`: every model with an exact likelihood on every data set in the plane whose density is known.

A sweep underneath: one that was stopped, or killed, is gone on with by the same command.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev

from genexp.compare.table import Table, markdown
from genexp.config.catalogue import entries
from genexp.config.composition import compose
from genexp.context import Context
from genexp.errors import UserError
from genexp.files import Replacing
from genexp.folder.records import Record
from genexp.registry import models
from genexp.suitability import refusal, spec_of
from genexp.summary import number_text
from genexp.sweep.plan import Plan, make_folder, make_plan
from genexp.sweep.run import carry_out
from genexp.sweep.table import records

TABLE = "toys.md"  # in the sweep's folder
SETTINGS = (  # of every run: what suits most of the models; no pictures
    "experiment=double_gaussian",
    "trainer.max_steps=null",
    "trainer.batch_size=512",
    "trainer.lr=2e-3",
    "trainer.clip_norm=5",
    "trainer.eval_size=4096",
    "evaluation.num_samples=2000",
    "evaluation.num_points=8192",
    "evaluation.ode_points=512",
    "figures.enabled=false",
)
COSTS = ("seconds_density", "seconds_sample")


@dataclass(frozen=True)
class Cell:
    """A model on a data set: its KLs, one for each seed that has a number, and the runs there are."""

    kls: Sequence[float]
    runs: Sequence[Record]

    @property
    def text(self) -> str:
        """Mean ± sd over the seeds."""
        if not self.kls:
            return "—"
        spread = f" ± {stdev(self.kls):.1g}" if len(self.kls) > 1 else ""
        return f"{fmean(self.kls):.3g}{spread}"


def bench(seconds: float, seeds: Sequence[int], overrides: Sequence[str]) -> int:
    """Run what is missing, write the table into the sweep's folder and print it. Returns the exit code."""
    print("looking which models can be trained on which data, and checking every run", flush=True)
    plan = make_folder(make_plan(request(seconds, seeds, overrides), (), ()))
    code = carry_out(plan)
    text = "\n".join(lines(plan, seconds)) + "\n"
    with Replacing(plan.root / TABLE) as (temporary, _):
        temporary.write_text(text, encoding="utf-8")
    print(f"\n{text}\nwritten to {plan.root / TABLE}", flush=True)
    return code


def request(seconds: float, seeds: Sequence[int], overrides: Sequence[str]) -> list[str]:
    """What is swept, as words for `genexp run -m`: the seeds before the data, so that the first of them is done first.

    `overrides` are heard last, and may name other models or data sets.
    """
    swept = {"seed": ",".join(map(str, seeds))}
    chosen = {key: value for key, _, value in (word.partition("=") for word in overrides)}
    if not {"model", "dataset"} <= {*chosen}:
        toys = known_planes()
        fitting = exact_models(toys)
        swept |= {"dataset": ",".join(toys), "model": ",".join(fitting)}
    swept |= {key: value for key, value in chosen.items() if key in ("model", "dataset")}
    rest = [word for word in overrides if word.partition("=")[0] not in swept]
    words = [f"{key}={values}" for key, values in swept.items()]
    return [*SETTINGS, f"trainer.max_seconds={seconds:g}", *words, "sweep.metric=kl", "sweep.skip_finished=true", *rest]


def known_planes() -> dict[str, Mapping[str, object]]:
    """The data sets in the plane with a known density, in their default settings: what is known of each."""
    found: dict[str, Mapping[str, object]] = {}
    for name in entries("datasets"):
        try:
            spec, knows = spec_of(compose([f"dataset={name}"]).settings)
        except UserError:  # without further settings it is nothing
            continue
        if spec.shape == (2,) and {"density", "box"} <= knows:
            found[name] = {"spec": spec, "knows": knows}
    return found


def exact_models(toys: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The models, in their default settings, that can be trained on all of these and have an exact likelihood."""
    found = []
    for name in entries("models"):
        settings = compose([f"model={name}"]).settings.model
        if any(refusal(settings, **about) is not None for about in toys.values()):  # type: ignore[arg-type]
            continue
        if toys and "exact" in models.build(settings, next(iter(toys.values()))["spec"], Context()).can:
            found.append(name)
    return found


def lines(plan: Plan, seconds: float) -> Iterator[str]:
    """The table as Markdown, and under it why a number is missing."""
    cells = gather(plan)
    names, toys = ([*dict.fromkeys(key[at] for key in cells)] for at in (0, 1))
    seeds = len({record.config.get("seed") for cell in cells.values() for record in cell.runs})
    yield f"KL(data ‖ model) in nats, mean ± sd over {seeds} seed{'s' * (seeds != 1)}; {seconds:g} s of training each, on a CPU."
    yield "The costs are seconds for a thousand examples, medians over all runs of a row.\n"
    rows = []
    for name in names:
        of_model = [cells[name, toy] for toy in toys]
        runs = [record for cell in of_model for record in cell.runs]
        rows.append([name, *(cell.text for cell in of_model), *(_median(runs, cost) for cost in COSTS)])
    best = [_best(cells, names, toy) for toy in toys]
    yield markdown(Table(["", *toys, *COSTS], rows, [["best", *best, "", ""]], [False] + [True] * (len(toys) + 2)))
    missing = [*_missing(plan)]
    if missing:
        yield ""
    yield from missing


def gather(plan: Plan) -> dict[tuple[str, str], Cell]:
    """Every model on every data set, as they were asked for."""
    runs: dict[tuple[str, str], list[Record]] = {}
    for number, record in enumerate(records(plan)):
        here = runs.setdefault(_key(plan, number), [])
        if record is not None and record.status == "finished":
            here.append(record)
    return {key: Cell([*_numbers(found, "kl")], found) for key, found in runs.items()}


def _key(plan: Plan, number: int) -> tuple[str, str]:
    settings = dict(word.split("=", 1) for word in plan.jobs[number])
    return settings["model"], settings["dataset"]


def _numbers(runs: Sequence[Record], metric: str) -> Iterator[float]:
    for run in runs:
        if isinstance(value := run.metrics.get(metric), int | float):
            yield float(value)


def _median(runs: Sequence[Record], metric: str) -> str:
    values = list(_numbers(runs, metric))
    return f"{median(values):.2g}" if values else "—"


def _best(cells: Mapping[tuple[str, str], Cell], names: Sequence[str], toy: str) -> str:
    means = [(fmean(cell.kls), name) for name in names if (cell := cells[name, toy]).kls]
    return f"{min(means)[1]}" if means else "—"


def _missing(plan: Plan) -> Iterator[str]:
    """A line for each run without a KL, with the last warning of its log where there is one."""
    for number, record in enumerate(records(plan)):
        if record is None or record.status != "finished":
            why = "not started" if record is None else str(record.run.get("error") or record.status)
        elif not [*_numbers([record], "kl")]:
            why = f"kl is {number_text(record.metrics.get('kl'))}: {_warning(record.path)}"
        else:
            continue
        yield f"- {plan.named(number)}: {why}"


def _warning(path: Path) -> str:
    log = (path / "log.txt").read_text(encoding="utf-8", errors="replace") if (path / "log.txt").exists() else ""
    return next((line.strip() for line in log.splitlines() if "warning: kl" in line), "see its log.txt")
