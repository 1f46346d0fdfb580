"""What a model or a data set may ask for when it is built: another run, that was finished before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from genexp.errors import UserError


@dataclass
class Context:
    """Second positional argument of a model's constructor, or of a data set's, where it has one.

    `asked`: for run.json, the runs that were opened: what the user called each, its folder and the digest of its weights.
    """

    open: Callable[[str], tuple[Any, dict[str, str]]] | None = None
    asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, key: str, name: str | None) -> Any:
        """The run that the setting `key` names, opened: its `model` in evaluation mode, `settings`, `spec`, `path`, `step`.

        `name` is a path, an id or `latest`, as on the command line. UserError where there is none, or where the weights are not
        those that an earlier session found.
        """
        if name is None or self.open is None:
            raise UserError(f"{key} must name another run", hint=f"{key}=PATH, of its folder")
        try:
            opened, self.asked[name] = self.open(name)
        except UserError as mistake:
            raise UserError(f"{key}: {mistake.message}", hint=mistake.hint) from None
        for weights in opened.model.parameters():
            weights.requires_grad_(False)
        return opened
