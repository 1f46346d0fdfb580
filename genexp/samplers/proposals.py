"""A model of another run as a proposal of Markov chains."""

from typing import Any

from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.errors import UserError

KEY = "model.kernel.run"
WITHOUT = {"exact": "has no exact likelihood", "layers": "is no bijection in layers", "sample": "does not sample"}


def proposal_of(spec: DataSpec, context: Context, run: str | None, *needs: str) -> Any:
    """The model of `run`, in evaluation mode. UserError where there is none, it cannot what is needed, or it is of other data."""
    opened = context.run(KEY, run)
    missing = [word for word in needs if word not in opened.model.can]
    if missing:
        raise UserError(
            f"{KEY}={run}: its model {' and '.join(WITHOUT[word] for word in missing)}", hint="name the run of a flow"
        )
    if opened.spec.shape != spec.shape:
        theirs, ours = ("×".join(map(str, shape)) for shape in (opened.spec.shape, spec.shape))
        raise UserError(f"{KEY}={run}: its examples are of shape {theirs}, and these data of {ours}")
    return opened.model
