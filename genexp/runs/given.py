"""`genexp sample --given`: what an example begins with is told, and an autoregressive model draws the rest."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from genexp.data.pictures import read_pictures
from genexp.errors import UserError
from genexp.paths import expanded
from genexp.runs.otherwise import SampledOtherwise
from genexp.runs.trained import Trained

TEST = "test:"


def going_on_from(trained: Trained, given: str) -> Trained:
    """The same run with a model that begins every sample as `given` says: a text, of a model of text; else the first half, in the
    model's order, of a test picture `test:N` or of a picture's file.

    Raises:
        UserError: a model that is not autoregressive; a character that it does not know; too long a text; no such picture.
    """
    if "autoregressive" not in trained.model.can:
        raise UserError(f"--given: model={trained.settings.model['name']} does not draw one number after another")
    model: Any = trained.model
    x, known = (beginning if trained.spec.alphabet else first_half)(trained, given)
    x = x.to(trained.device)  # (1, *shape), of which the first `known` numbers, in the model's order, stay

    def draw(n: int) -> Tensor:
        return cast(Tensor, model.complete(x.repeat(n, *[1] * (x.dim() - 1)), known))

    return replace(trained, model=SampledOtherwise(model, draw).eval())


def beginning(trained: Trained, given: str) -> tuple[Tensor, int]:
    """The symbols of a text, and how many they are."""
    length, alphabet = trained.spec.shape[0], trained.spec.alphabet
    unknown = sorted({character for character in given if character not in alphabet})
    if unknown:
        raise UserError(f"--given: {', '.join(map(repr, unknown[:5]))} is not in the text that the model was trained on")
    if not 0 < len(given) < length:
        raise UserError(f"--given: {len(given)} characters; a passage has {length}, and one at least must be left to draw")
    x = torch.zeros(1, length, dtype=torch.long)
    x[0, : len(given)] = torch.tensor([alphabet.index(character) for character in given])
    return x, len(given)


def first_half(trained: Trained, given: str) -> tuple[Tensor, int]:
    """A picture, and half the number of its values."""
    if len(trained.spec.shape) != 3:
        raise UserError("--given: the samples are neither a text nor pictures")
    read: Callable[[Trained, str], Tensor] = of_test if given.startswith(TEST) else of_file
    return read(trained, given), math.prod(trained.spec.shape) // 2


def of_test(trained: Trained, given: str) -> Tensor:
    number = given.removeprefix(TEST)
    test = trained.subject().data.test
    if not number.isdecimal() or int(number) >= len(test):
        raise UserError(f"--given {given}: there are {len(test):,} test pictures, counted from 0")
    return cast(Tensor, test[int(number) : int(number) + 1].batch().x)


def of_file(trained: Trained, given: str) -> Tensor:
    """Brought to the size of the model's pictures; greys that it does not have become the nearest it has."""
    channels, height, width = trained.spec.shape
    path = expanded(given)
    if not path.is_file():
        raise UserError(f"--given {given}: no such picture", hint="--given test:0 is the first test picture")
    if height != width or channels not in (1, 3):
        raise UserError("--given: only square pictures in grey or three colours are read from a file", hint="--given test:0")
    x = read_pictures([Path(path)], height, channels).x.float() / 255
    head: Any = trained.model.head
    return x if head.levels is None else cast(Tensor, head.value(head.number(x))).to(x)
