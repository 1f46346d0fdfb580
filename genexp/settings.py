"""The typed schema of everything that is not a component: run, trainer, evaluation, figures. No torch here."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from genexp.errors import UserError, nearest, unknown
from genexp.paths import expanded

# What a number may be. At each limit a small experiment still runs; a slip of the finger, or what would take days, is refused.
MOST_STEPS = 10**12
SAID_FOR = {"gpu": "cuda"}
NO_NUMBER = {  # pydantic's kinds of problems
    **dict.fromkeys(("int_parsing", "int_from_float", "int_type"), "no whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "no number"),
}
Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]
Together = Annotated[int, Field(ge=1, le=2**20)]  # examples that go through a network at once: a gigabyte for 256 numbers each
Drawn = Annotated[int, Field(ge=1, le=10**7)]  # examples that are made and held at once; `genexp sample` writes more
Index = Annotated[int, Field(ge=0, le=10**9)]
Width = Annotated[int, Field(ge=1, le=65_536)]  # of a layer
Scale = Annotated[float, Field(gt=0, le=1e6)]  # standard deviations, lengths, frequencies
Weight = Annotated[float, Field(ge=0, le=1e6)]  # of a term, a decay
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["auto", "float32", "bf16"]
Folder = Annotated[str, AfterValidator(lambda path: str(expanded(path)))]  # ~ is the user's home


class Strict(BaseModel):
    """Base of every schema: unknown keys, NaN, infinities, booleans in place of numbers and numbers in place of texts are
    refused. (What YAML took for a number no longer says how it was written: 12.50, 1e3, +49.)
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _no_booleans_for_numbers(cls, values: Any) -> Any:
        for key, value in values.items() if isinstance(values, Mapping) else ():
            field = cls.model_fields.get(key)
            if isinstance(value, bool) and field is not None and bool not in (field.annotation, *get_args(field.annotation)):
                raise ValueError(f"{key}: {str(value).lower()} is not a number, a name or null")
        return values


class TrainerSettings(Strict):
    """How a model is trained. Whichever of the three budgets comes first ends the run."""

    max_steps: Annotated[int, Field(ge=0, le=MOST_STEPS)] | None = None
    max_epochs: Steps | None = None
    max_seconds: Annotated[float, Field(gt=0, le=1e9)] | None = None
    clock: Literal["wall", "cpu"] = "wall"
    batch_size: Together = 256
    optimizer: Literal["adam", "adamw"] = "adam"
    lr: Annotated[float, Field(gt=0, le=1e3)] = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: Weight = 0.0
    schedule: Literal["constant", "linear", "cosine", "one_cycle"] = "constant"
    warmup: Fraction = 0.0
    clip_norm: Annotated[float, Field(gt=0, le=1e12)] | None = None
    ema: Fraction = 0.0
    precision: Precision = "float32"
    compile: bool = False
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    profile: bool = False
    log_every: Steps = 50
    eval_every: Steps = 500
    eval_size: Together = 8192
    monitor: str | None = None
    keep: Literal["best", "last"] = "best"
    checkpoint_every: Steps = 1000

    @model_validator(mode="after")
    def _some_budget(self) -> "TrainerSettings":
        if self.max_steps is None and self.max_epochs is None and self.max_seconds is None:
            raise ValueError("one of max_steps, max_epochs and max_seconds must be set")
        return self


class EvaluationSettings(Strict):
    """How much is drawn and measured after training."""

    num_samples: Drawn = 100_000
    num_points: Drawn = 32_768
    ode_points: Drawn = 2_048
    batch_size: Together = 2_048
    importance_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    quadrature_side: Annotated[int, Field(ge=4, le=2048)] = 200
    amortization_images: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    fine_images: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    gradient_images: Annotated[int, Field(ge=0, le=100_000)] = 0
    classifier_steps: Annotated[int, Field(ge=1, le=100_000)] = 400
    anomalies: tuple[str, ...] = ()
    density_at: tuple[Annotated[float, Field(ge=-1e6, le=1e6)], ...] = ()


class FigureSettings(Strict):
    """Which pictures are drawn. `gif=false` leaves the animations out, `enabled=false` every picture."""

    enabled: bool = True
    log_density_side: Annotated[int, Field(ge=2, le=400)] = 80  # each point may be an ODE of its own
    manifold_side: Annotated[int, Field(ge=2, le=100)] = 20
    pair: tuple[Index, Index] | None = None
    between: tuple[str, str] | None = None
    learning: bool = False  # the weights are kept as they come about, in every checkpoint, for a film of it
    gif: bool = True
    gif_points: Annotated[int, Field(ge=1, le=100_000)] = 10_000  # of each of them the whole way is kept
    gif_frames: Annotated[int, Field(ge=2, le=1000)] = 51
    gif_fps: Annotated[int, Field(ge=1, le=50)] = 20
    gif_size: Annotated[int, Field(ge=64, le=1024)] = 480


class RunSettings(Strict):
    """One whole run. `dataset` and `model` are checked against the component they name."""

    experiment: str
    seed: Seed = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    data_dir: Folder = "data"
    run_dir: Annotated[str, Field(min_length=1)] | None = None
    tracking: Literal["none", "tensorboard"] = "none"
    dataset: dict[str, Any]
    model: dict[str, Any]
    trainer: TrainerSettings
    evaluation: EvaluationSettings
    figures: FigureSettings


S = TypeVar("S", bound=BaseModel)


def validate(schema: type[S], values: Mapping[str, Any], where: str = "") -> S:
    """`values` as a `schema`; the first thing wrong with them as a UserError that names the key."""
    try:
        return schema.model_validate(dict(values))
    except ValidationError as failure:
        raise _explain(failure, schema, where) from None


def _explain(failure: ValidationError, schema: type[BaseModel], where: str) -> UserError:
    """The first problem pydantic found, in this program's words."""
    problem = failure.errors(include_url=False)[0]
    path = ([where] if where else []) + [str(part) for part in problem["loc"]]
    key, value = ".".join(path), problem["input"]
    message = problem["msg"].removeprefix("Value error, ").replace(" after validation", "")
    if problem["type"] == "missing":
        return UserError(f"{key} is missing")
    if problem["type"] == "extra_forbidden":
        for part in problem["loc"][:-1]:
            schema = schema.model_fields[str(part)].annotation  # type: ignore[assignment]
        return unknown("key", key, [".".join([*path[:-1], name]) for name in schema.model_fields])
    if problem["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        meant = SAID_FOR.get(str(value))
        guess = meant if meant in choices else nearest(str(value), choices)
        message = f"must be one of {', '.join(choices)}" + (f"; did you mean '{guess}'?" if guess else "")
    if problem["type"] in ("list_type", "tuple_type") and isinstance(value, str | int | float):
        message = f"a list is meant, in brackets: [{value}]"
    if problem["type"] in NO_NUMBER:
        return UserError(f"{key}={shown(value)}: {shown(value)} is {NO_NUMBER[problem['type']]}")
    if problem["type"] == "string_type" and isinstance(value, int | float):
        message = "a number where a text is meant; put it in quotes"
    if isinstance(value, Mapping):  # said of a whole section
        return UserError(f"{key}: {message}" if key else message)
    return UserError(f"{key}={shown(value)}: {message[0].lower() + message[1:]}")


def shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
