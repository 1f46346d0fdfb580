"""What a data set is to the rest of genexp, and the two ways of drawing batches from one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from genexp.capabilities import Known, known_of
from genexp.errors import UserError
from genexp.machine.device import all_digits

Terms = dict[str, Tensor]  # of a loss: scalars, "loss" among them
GREYS = 256  # of a picture whose data set says nothing else
_PART = 2048  # examples that are looked at together
LogDensity = Callable[[Tensor], Tensor]  # (n, *shape) → (n,), in nats
Kind = Literal["real", "unit", "bytes", "bits", "tokens"]
KINDS: dict[Kind, str] = {
    "real": "real numbers",
    "unit": "numbers in [0, 1]",
    "bytes": "integers from 0 to 255",
    "bits": "zeros and ones",
    "tokens": "symbols by number",
}


@dataclass(frozen=True)
class DataSpec:
    """What a model may know about the data before it sees any: the shape of one example, the class names, and the `kind` of
    its values as a batch has them; None where the data set does not say.

    `levels`: how many different values each number has; of greys None stands for GREYS. `alphabet`: of a text, its characters, in
    the order of their numbers.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    kind: Kind | None = None
    levels: int | None = None
    alphabet: str = ""

    @property
    def greys(self) -> int:
        """How many different values each number of a picture has."""
        return 2 if self.kind == "bits" else self.levels or GREYS

    @property
    def knows(self) -> frozenset[Known]:
        """What the shape and the classes tell, in the words of `genexp.capabilities`."""
        told: dict[Known, bool] = {
            "points": len(self.shape) == 1 and self.kind != "tokens",
            "pictures": len(self.shape) == 3,
            "line": self.shape == (1,) and self.kind != "tokens",
            "plane": self.shape == (2,) and self.kind != "tokens",
            "classes": bool(self.classes),
            "tokens": self.kind == "tokens",
            "text": bool(self.alphabet),
        }
        return frozenset(word for word, true in told.items() if true)

    def points(self, model: str, hint: str = "genexp list models --data NAME") -> int:
        """The dimension of data that are points; UserError where they are something else, which `model` cannot learn."""
        if len(self.shape) != 1:
            what = "×".join(map(str, self.shape))
            raise UserError(f"model={model} learns points, and not data of shape {what}", hint=hint)
        self.check_kind(("real", "unit"), f"model={model}")
        return self.shape[0]

    def check_kind(self, accepted: tuple[Kind, ...], who: str, hint: str | None = None) -> None:
        """UserError where the values are of none of the `accepted` kinds, the first of which stands for all in the message."""
        if self.kind is not None and self.kind not in accepted:
            raise UserError(f"{who} needs {KINDS[accepted[0]]}; these data are {KINDS[self.kind]}", hint=hint)


@dataclass(frozen=True)
class Batch:
    """Examples `x` of shape (batch, *shape) and, where there are classes, labels of shape (batch,).

    `log_density`: where the data have one, ln p(x) up to a constant, (n, *shape) → (n,), for what is trained on that.
    """

    x: Tensor
    label: Tensor | None = None
    log_density: LogDensity | None = None

    def __getitem__(self, index: slice) -> "Batch":
        return Batch(self.x[index], None if self.label is None else self.label[index], self.log_density)

    def split(self, size: int) -> "list[Batch]":
        """The same in parts of `size` examples; the last may be shorter."""
        return [self[start : start + size] for start in range(0, len(self.x), size)]


class Stream(Protocol):
    """An endless source of training batches. Its state, saved and loaded, continues the same sequence."""

    steps_per_epoch: int | None

    def next(self) -> Batch: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Dataset(Protocol):
    """A data set, on one device. `knows` is what it declares beyond its spec, in the words of `genexp.capabilities`."""

    spec: DataSpec

    @property
    def knows(self) -> frozenset[Known]: ...

    def to(self, device: torch.device) -> "Dataset": ...

    def describe(self) -> str: ...

    def train_stream(self, batch_size: int, seed: int) -> Stream: ...

    def first_look(self, size: int, seed: int) -> Batch: ...

    def examples(self, size: int, seed: int) -> Batch: ...

    def heldout(self, size: int, seed: int) -> Batch: ...


@runtime_checkable
class Repeating(Protocol):
    """A stream that gives the same examples again and again, as they are: what is known of them can be found once."""

    def prepare(self, reduce: Callable[[Tensor], Tensor | None]) -> None: ...


class Density(Protocol):
    """A distribution that fresh samples can be drawn from: x ~ p, exactly."""

    device: torch.device

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor: ...


class FreshData:
    """Base of data sets that draw every example anew: what is left to say is `spec`, `describe` and `sample`."""

    spec: DataSpec
    knows: frozenset[Known] = frozenset()
    device = torch.device("cpu")
    density: Any  # where it knows "density"
    log_z: float = 0.0  # ln ∫ exp(log_density), where it knows "log_z": of what is normalised 0
    made_of: str | None = None  # the digest of what it is made of beside its own files, where there is such

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n examples, shape (n, *shape), on `self.device`; `generator` is a generator of that device."""
        raise NotImplementedError

    def to(self, device: torch.device) -> Self:
        self.device = device
        return self

    @property
    def log_density(self) -> LogDensity | None:
        """ln p(x), where it is known and smooth."""
        if "log_density" not in known_of(self.knows):
            return None
        density = self.density

        def log_density(x: Tensor) -> Tensor:
            with all_digits(x.device):  # whatever precision its model is trained in
                return density.log_prob(x)

        return log_density

    def train_stream(self, batch_size: int, seed: int) -> "FreshStream":
        return FreshStream(self, batch_size, seed, self.log_density)

    def first_look(self, size: int, seed: int) -> Batch:
        """Training data as a model will see it, for what is measured before the first step."""
        return self.train_stream(size, seed).next()

    def examples(self, size: int, seed: int) -> Batch:
        """Training data as it is, for what is fitted after the last step."""
        return self.train_stream(size, seed).next()

    def heldout(self, size: int, seed: int) -> Batch:
        return FreshStream(self, size, seed, self.log_density).next()


class FreshStream:
    """Batches drawn anew from a density each time: nothing is ever seen twice, and there are no epochs."""

    steps_per_epoch = None

    def __init__(self, source: Density, batch_size: int, seed: int, log_density: LogDensity | None = None) -> None:
        self.source, self.log_density = source, log_density
        self.batch_size = batch_size
        self.generator = torch.Generator(source.device).manual_seed(seed)

    def next(self) -> Batch:
        """In float32, whatever a model computes in meanwhile."""
        with all_digits(torch.device(self.source.device)):
            return Batch(self.source.sample(self.batch_size, self.generator), log_density=self.log_density)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"].cpu())


def unit_interval(x: Tensor) -> Tensor:
    """Bytes as numbers in [0, 1]; other tensors as they are."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


class EpochStream:
    """Batches of a finite set in device memory, in a new random order each epoch; a short last batch is dropped.

    Bytes come out as numbers in [0, 1].

    The order of epoch e depends on (seed, e) alone, so (epoch, position) is all there is to save.
    """

    def __init__(self, x: Tensor, label: Tensor | None, batch_size: int, seed: int) -> None:
        self.x = x
        self.label = label
        self.batch_size = min(batch_size, len(x))
        self.seed = seed
        self.steps_per_epoch = len(x) // self.batch_size
        self.step = 0
        self._order = self._permutation(0)

    def next(self) -> Batch:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if position == 0:
            self._order = self._permutation(epoch)
        index = self._order[position * self.batch_size : (position + 1) * self.batch_size]
        self.step += 1
        return Batch(unit_interval(self.x.index_select(0, index)), None if self.label is None else self.label[index])

    def prepare(self, reduce: Callable[[Tensor], Tensor | None]) -> None:
        """From now on give what `reduce` makes of the examples; where that is None, these."""
        rows: list[Tensor] = []
        for part in self.x.split(_PART):
            found = reduce(unit_interval(part))
            if found is None:
                return
            rows.append(found)
        self.x = torch.cat(rows)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self._order = self._permutation(self.step // self.steps_per_epoch)

    def _permutation(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self.x), generator=generator).to(self.x.device)
