"""A run as Python sees it."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genexp.config.composition import compose_stored
from genexp.data.base import Dataset
from genexp.errors import UserError, unknown
from genexp.folder.records import Number, read_history, read_metrics, read_record, read_run
from genexp.interface.guest import guest
from genexp.interface.showing import Figures, Page, find_figures, page_of, title_of
from genexp.machine.device import choose_device
from genexp.models.base import GenerativeModel
from genexp.runs.sampling import class_index, log_likelihood, sampler_of
from genexp.runs.trained import Trained, Which, build_data, open_run


class Section(dict[str, Any]):
    """A part of the configuration: `config["trainer"]["lr"]`, or `config.trainer.lr`."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({key: Section(value) if isinstance(value, dict) else value for key, value in values.items()})

    def __getattr__(self, key: str) -> Any:
        if key in self:
            return self[key]
        raise AttributeError(f"the configuration has no key '{key}' here; there are: {', '.join(self)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]


class Run:
    """One run. Model and data are built when they are first asked for; numbers are read as they stand now.

    Every property and method raises UserError where the run has no such thing, and changes nothing in its folder.

    Args:
        path: its folder.
        checkpoint: whose weights the model has, "best" or "last".
        device: where the model computes; as in the run, if None.
    """

    def __init__(self, path: Path, checkpoint: Which = "best", device: str | None = None) -> None:
        if checkpoint not in ("best", "last"):
            raise unknown("checkpoint", str(checkpoint), ("best", "last"))
        read_run(path)
        self.path = path
        self._checkpoint: Which = checkpoint
        self._device = device

    @cached_property
    @guest
    def _trained(self) -> Trained:
        return open_run(self.path, self._checkpoint, self._device)

    @property
    def model(self) -> GenerativeModel:
        """The trained model, an `nn.Module` in evaluation mode."""
        return self._trained.model

    @cached_property
    @guest
    def data(self) -> Dataset:
        """The data set that it was trained on, on the model's device."""
        settings = compose_stored(self.path, ()).settings
        return build_data(settings, choose_device(self._device or settings.device), self.path)  # type: ignore[no-any-return]

    @cached_property
    @guest
    def config(self) -> Section:
        """The whole configuration, by sections."""
        return Section(compose_stored(self.path, ()).settings.model_dump())

    @property
    def status(self) -> str:
        """running, finished, interrupted, failed or killed."""
        return read_record(self.path).status

    @property
    def metrics(self) -> dict[str, Number]:
        """Every number by name, `floor/name` beside `name` where a floor is known. Empty until the run has ended."""
        return read_metrics(self.path)

    @property
    def history(self) -> list[dict[str, float]]:
        """The training, a dictionary for each line that was logged: `step`, `seconds` and the terms, held-out ones among them."""
        return read_history(self.path)

    @property
    def figures(self) -> Figures:
        """Every picture and film by name; each shows itself in a notebook."""
        return find_figures(self.path)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that its data have."""
        return self._trained.spec.classes

    @guest
    def sample(self, n: int, seed: int = 0, label: str | int | None = None) -> Tensor:
        """n new examples, (n, *shape) on the CPU: those of `genexp sample --num n --seed seed`, of a table in its own units.

        Args:
            seed: the same seed gives the same samples, the first ones for every n.
            label: the class, by name or number, of a conditional model; None takes all in turn.
        """
        if type(n) is not int or n < 1:
            raise UserError(f"n={n!r}: a whole number, at least 1")
        if type(seed) is not int or not 0 <= seed < 2**32:
            raise UserError(f"seed={seed!r}: from 0 to {2**32 - 1}")
        number = None if label is None else class_index(self._trained, self._class_name(label))
        x = torch.cat([part.x for part in sampler_of(self._trained, number).stream(n, seed)])
        return x if self._trained.units is None else self._trained.units.own(x)

    @guest
    def log_prob(self, x: Any) -> Tensor:
        """ln p(x) in nats, (n,) on the CPU, of n examples x (n, *shape), a tensor or an array.

        UserError where the model has no exact likelihood, or the shape is another.
        """
        shape, size = self._trained.spec.shape, self._trained.settings.evaluation.batch_size
        units = self._trained.units
        try:
            x = torch.as_tensor(x, dtype=torch.float64 if units else torch.float32).to(self._trained.device)
        except (TypeError, ValueError):
            raise UserError(f"x is a {type(x).__name__}, and no tensor or array of numbers") from None
        if x.shape[1:] != shape or x.ndim == 0:
            is_shape, must = (", ".join(map(str, each)) for each in (x.shape, shape))
            raise UserError(f"x has the shape ({is_shape}); this model's examples are (n, {must})")
        x, log_scale = (units.seen(x), units.log_scale) if units else (x, 0.0)
        return torch.cat([log_likelihood(self._trained, part) for part in x.split(size)]) - log_scale

    @guest
    def report(self, *others: "Run", title: str | None = None, height: int = 900) -> Page:
        """The page of `genexp report`: what the model is, its numbers, curves and figures, what to try next, and the model itself
        where it can be played with. In a notebook it shows itself, `height` pixels high; `.save("report.html")` keeps it.

        Args:
            others: runs to set side by side with this one.
        """
        from genexp.report.render import report

        return Page(report([each.path for each in (self, *others)], title), height)

    def _class_name(self, label: str | int) -> str:
        if isinstance(label, str):
            return label
        if type(label) is not int or not 0 <= label < len(self.classes):
            raise UserError(f"label={label!r}: a class by name, or by number from 0 to {len(self.classes) - 1}")
        return self.classes[label]

    def __repr__(self) -> str:
        return f"<genexp run {title_of(self.path)}: {self.path}>"

    def _repr_html_(self) -> str:
        return page_of(self.path)
