"""What every finite data set of points is: numbers on the device, in three parts."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import Batch, DataSpec, EpochStream, Kind
from genexp.errors import UserError


@dataclass(frozen=True)
class PointSet:
    """Points (n, dim) and, where there are classes, labels (n,)."""

    x: Tensor
    label: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | Tensor) -> "PointSet":
        return PointSet(self.x[index], None if self.label is None else self.label[index])

    def to(self, device: torch.device) -> "PointSet":
        return PointSet(self.x.to(device), None if self.label is None else self.label.to(device))

    def few(self, count: int) -> "PointSet":
        """The first `count`."""
        return self[:count]

    def batch(self) -> Batch:
        return Batch(self.x, self.label)


class Values:
    """How the numbers that a set keeps become the values that a model sees: unchanged, unless a subclass says otherwise.

    `levels`: of whole numbers that become continuous by uniform noise, how many there are between 0 and 1; else None.
    """

    levels: int | None = None

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Kept numbers (n, kept) → values (n, dim); `generator`, of their device, draws whatever is random about it."""
        return x


class PointData:
    """Base of finite data sets of points: `train` to learn from, `validation` for the best weights, `test` to report on once."""

    knows: frozenset[Known] = frozenset({"examples"})
    spec: DataSpec
    train: PointSet
    validation: PointSet
    test: PointSet
    values = Values()
    what = "points"
    remarks: tuple[str, ...] = ()

    def parts(
        self,
        train: PointSet,
        validation: PointSet,
        test: PointSet,
        classes: tuple[str, ...] = (),
        kind: Kind = "real",
        values: Values | None = None,
    ) -> None:
        """Set the three parts. Training points become values anew in each batch, those of the others once and for all."""
        for name, part in (("training", train), ("validation", validation), ("test", test)):
            if not len(part):
                raise UserError(f"nothing is left for the {name} part")
        self.values = values or Values()
        self.train = train
        self.validation, self.test = (
            PointSet(self.values(part.x, torch.Generator().manual_seed(seed)), part.label)
            for seed, part in ((1, validation), (2, test))
        )
        self.spec = DataSpec((self.validation.x.shape[1],), classes, kind)

    @property
    def levels(self) -> int | None:
        return self.values.levels

    def to(self, device: torch.device) -> Self:
        self.train, self.validation, self.test = (part.to(device) for part in (self.train, self.validation, self.test))
        return self

    def train_stream(self, batch_size: int, seed: int) -> "ValuesStream":
        return ValuesStream(EpochStream(self.train.x, self.train.label, batch_size, seed), self.values, seed)

    def first_look(self, size: int, seed: int) -> Batch:
        """Training points as a model will see them, `size` at most."""
        return self.train_stream(min(size, len(self.train)), seed).next()

    def examples(self, size: int, seed: int) -> Batch:
        """The same, for what is fitted at one go."""
        return self.first_look(size, seed)

    def heldout(self, size: int, seed: int) -> Batch:
        """The first `size` points of the validation part."""
        return self.validation[:size].batch()

    def describe(self) -> str:
        dim = self.spec.shape[0]
        counts = f"{len(self.train):,} to train, {len(self.validation):,} for validation, {len(self.test):,} to test"
        classes = f", {len(self.spec.classes)} classes" if self.spec.classes else ""
        remarks = "".join(f"; {remark}" for remark in self.remarks)
        return f"{self.what} of {dim} number{'s' * (dim > 1)}{classes}: {counts}{remarks}"


class ValuesStream:
    """Another stream's batches, their numbers made into values."""

    def __init__(self, stream: EpochStream, values: Values, seed: int) -> None:
        self.stream, self.values = stream, values
        self.steps_per_epoch = stream.steps_per_epoch
        self.generator = torch.Generator(stream.x.device).manual_seed(seed)

    def next(self) -> Batch:
        batch = self.stream.next()
        return Batch(self.values(batch.x, self.generator), batch.label)

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self.stream.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stream.load_state_dict(state["stream"])
        self.generator.set_state(state["generator"].cpu())


class Dequantised(Values):
    """x = (k + u)/levels, u ~ U[0, 1): whole numbers k = 0 … levels − 1 as continuous ones in [0, 1).

    −ln p(x) is then a bound: −ln P(k) ≤ E_u[−ln p(x)] + dim ln levels (Theis et al., A note on the evaluation of generative
    models, 2016), and no density has less than −dim ln levels.
    """

    levels: int

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.rand(x.shape, generator=generator, device=x.device)
        return ((x + noise) / self.levels).clamp(max=1 - 2**-24)  # float32 may round up to 1


def split(points: PointSet, validation_share: float, test_share: float, seed: int) -> tuple[PointSet, PointSet, PointSet]:
    """train, validation, test in random order, the two shares at least one point each.

    Raises:
        UserError: nothing would be left to train on.
    """
    count = len(points)
    validation, test = (max(1, round(share * count)) for share in (validation_share, test_share))
    if count < validation + test + 1:
        raise UserError(f"{count} rows are too few: {validation} for validation, {test} to test, and none to train on")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return points[order[validation + test :]], points[order[:validation]], points[order[validation : validation + test]]
