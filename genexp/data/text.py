"""`dataset=text dataset.path=…`: the characters of a text, one symbol each; without a path, Newton's Opticks."""

import lzma
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import Batch, DataSpec
from genexp.data.own_files import OwnFiles
from genexp.data.points import PointSet
from genexp.errors import UserError
from genexp.paths import expanded, not_there
from genexp.registry import datasets

EMBEDDED = Path(__file__).with_name("opticks.txt.xz")
LARGEST = 100_000_000  # bytes of a file
MOST_CHARACTERS = 4_096  # different ones
BETWEEN = f"\n{60 * '-'}\n"
Share = Annotated[float, Field(gt=0, lt=1)]


@datasets.register("text")
class TextData:
    """Passages of `length` characters of a text in UTF-8, (length,), symbol k being character k of the alphabet.

    The parts are contiguous: the text begins with the training part and ends with the test part, so that no passage of one is
    in another. Training passages begin anywhere: in each epoch the text is cut anew, at a random offset. Those of the other
    parts follow one another without a gap. The alphabet is that of the whole file; line ends are `\\n`, whatever they are there.

    Source of the embedded text: Isaac Newton, Opticks, fourth edition (1730), in the transcription of Project Gutenberg.

    Args:
        data_dir: where `path` is looked for when it is not found from the working directory.
        path: of the text; null: Opticks.
        length: characters of a passage.
        validation_share, test_share: shares of the text.

    Raises:
        UserError: no such file, or none in UTF-8; fewer characters than a passage in each part; 4,096 different ones and more.
    """

    knows: frozenset[Known] = frozenset({"examples"})

    def __init__(
        self,
        data_dir: Path,
        *,
        path: str | None = None,
        length: Annotated[int, Field(ge=2, le=65_536)] = 256,
        validation_share: Share = 0.1,
        test_share: Share = 0.1,
    ) -> None:
        text = read_text(path, data_dir)
        alphabet = "".join(sorted(set(text)))
        if len(alphabet) > MOST_CHARACTERS:
            raise UserError(f"dataset.path={path}: {len(alphabet):,} different characters, and {MOST_CHARACTERS:,} are allowed")
        number = {character: k for k, character in enumerate(alphabet)}
        symbols = torch.tensor([number[character] for character in text], dtype=torch.long)
        left = 1 - test_share - validation_share
        if left <= 0:
            shares = f"dataset.validation_share={validation_share} and dataset.test_share={test_share}"
            raise UserError(f"{shares} leave nothing to train on")
        tested, validated = (round(share * len(symbols)) for share in (test_share, validation_share))
        trained = len(symbols) - tested - validated
        if min(trained // 2, tested, validated) < length:
            least = math.ceil(max((2 * length + 1) / left, length / min(test_share, validation_share)))
            raise UserError(
                f"{'the text' if path is None else path}: {len(symbols):,} characters are too few for passages of {length}",
                hint=f"a text of {least:,}, or a smaller dataset.length",
            )
        self.name = "Opticks" if path is None else Path(path).name
        self.spec = DataSpec((length,), kind="tokens", levels=len(alphabet), alphabet=alphabet)
        self._parts(*symbols.split([trained, validated, tested]))

    @classmethod
    def own_files(cls, settings: Mapping[str, Any], data_dir: Path) -> OwnFiles | None:
        path = settings.get("path")
        return None if path is None else OwnFiles([find_text(path, data_dir)], find_text(path, data_dir))

    @property
    def length(self) -> int:
        return self.spec.shape[0]

    def to(self, device: torch.device) -> Self:
        self._parts(*(part.to(device) for part in (self.train_text, self.validation_text, self.test_text)))
        return self

    def _parts(self, train: Tensor, validation: Tensor, test: Tensor) -> None:
        self.train_text, self.validation_text, self.test_text = train, validation, test
        self.train, self.validation, self.test = (PointSet(passages(part, self.length)) for part in (train, validation, test))

    def train_stream(self, batch_size: int, seed: int) -> "PassageStream":
        return PassageStream(self.train_text, self.length, batch_size, seed)

    def first_look(self, size: int, seed: int) -> Batch:
        return self.train_stream(size, seed).next()

    def examples(self, size: int, seed: int) -> Batch:
        return self.train_stream(size, seed).next()

    def heldout(self, size: int, seed: int) -> Batch:
        """The first `size` passages of the validation part."""
        return self.validation[:size].batch()

    def describe(self) -> str:
        counts = [f"{len(part):,}" for part in (self.train_text, self.validation_text, self.test_text)]
        return (
            f"{self.name}: {counts[0]} characters to train, {counts[1]} for validation, {counts[2]} to test, {self.spec.levels} "
            f"different ones; passages of {self.length}"
        )


def passages(text: Tensor, length: int) -> Tensor:
    """One after another, (n, length); what is left at the end is in none."""
    count = len(text) // length
    return text[: count * length].view(count, length)


class PassageStream:
    """Batches of passages of a text (characters,), cut anew in each epoch; a short last batch is dropped.

    The passages of epoch e depend on (seed, e) alone, so the step is all there is to save.
    """

    def __init__(self, text: Tensor, length: int, batch_size: int, seed: int) -> None:
        self.text, self.length, self.seed = text, length, seed
        count = len(text) // length - 1  # one is lost to the offset
        self.batch_size = min(batch_size, count)
        self.steps_per_epoch = count // self.batch_size
        self.step, self._epoch, self._starts = 0, -1, torch.zeros(0, dtype=torch.long)

    def next(self) -> Batch:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._starts = epoch, self._cut(epoch)
        starts = self._starts[position * self.batch_size : (position + 1) * self.batch_size]
        self.step += 1
        within = torch.arange(self.length, device=self.text.device)
        return Batch(self.text[starts.to(self.text.device)[:, None] + within])

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self._epoch = state["step"], -1

    def _cut(self, epoch: int) -> Tensor:
        """Where the passages of an epoch begin, in random order."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        offset = int(torch.randint(self.length, (), generator=generator))
        count = (len(self.text) - offset) // self.length
        return offset + self.length * torch.randperm(count, generator=generator)


def read_text(path: str | None, data_dir: Path) -> str:
    """The whole of it; UserError where it cannot be read as a text."""
    if path is None:
        return lzma.decompress(EMBEDDED.read_bytes()).decode()
    file = find_text(path, data_dir)
    try:
        if file.stat().st_size > LARGEST:
            raise UserError(f"dataset.path={path}: more than {LARGEST // 10**6} MB")
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as failure:
        raise UserError(
            f"dataset.path={path}: no text in UTF-8 (byte {failure.start:,})",
            hint="a text in Latin-1: iconv -f latin1 -t utf-8 OLD > NEW",
        ) from None
    except OSError as failure:
        raise UserError(f"dataset.path={path}: {failure.strerror or 'cannot be read'}") from None
    if "\0" in text:
        raise UserError(f"dataset.path={path}: no text, there are zero bytes in it")
    return text


def find_text(path: str, data_dir: Path) -> Path:
    """Where the file `path` is. UserError where it is not, or is a folder."""
    given = expanded(path)
    places = (given, data_dir / given)
    file = next((there for there in places if there.is_file()), None)
    if file is None:
        found = next((there for there in places if there.exists()), given)
        raise UserError(f"dataset.path={path}: {not_there(found, 'file')}", hint="dataset=text dataset.path=my.txt")
    return file


def joined(spec: DataSpec, x: Tensor) -> str:
    """Symbols (n, length) as text, a line of dashes between two passages."""
    return BETWEEN.join(words(spec, x)) + "\n"


def words(spec: DataSpec, x: Tensor) -> list[str]:
    """Symbols (n, length) as text."""
    return ["".join(spec.alphabet[k] for k in row) for row in x.long().tolist()]
