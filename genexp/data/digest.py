"""The digests of a data set: what a run was trained on, for run.json."""

import hashlib
import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genexp.data.images import ImageData
from genexp.data.own_files import OwnFiles, own_files
from genexp.data.points import PointData
from genexp.fetch.sets import fetchable
from genexp.folder.data_digests import DataDigests
from genexp.registry import datasets
from genexp.seeds import seeded
from genexp.settings import RunSettings

CPU = torch.device("cpu")
PROBES = 64  # examples of a plugin's density by which it is known again
MOST = 2**18  # examples of a plugin's finite set


def digests(data: Any, settings: RunSettings) -> DataDigests:
    """Those of the data set `data` that `settings` describe, on whatever device it is."""
    examples = examples_digest(data)
    if not is_ours(settings):
        return DataDigests(_joined([source_digest(settings), examples or density_digest(data)]), examples)
    origin, made_of = origin_digest(settings), getattr(data, "made_of", None)
    return DataDigests(origin if made_of is None else _joined([origin, made_of]), examples)


def origin_digest(settings: RunSettings) -> str | None:
    """The digest `origin` of one of genexp's own data sets, without building it: of its files, or of its generator's version.

    None where no file is there, and of a plugin's data set: what that reads only it knows.
    """
    if not is_ours(settings):
        return None
    files = own_files(settings) or known_files(settings)
    if files is not None:
        return files.digest() if files.paths else None
    name = settings.dataset["name"]
    return _joined([name, str(getattr(datasets[name], "version", 1))])


def is_ours(settings: RunSettings) -> bool:
    """Whether the data set is one of genexp's own, and not a plugin's."""
    return datasets[settings.dataset["name"]].__module__.startswith("genexp.")


def known_files(settings: RunSettings) -> OwnFiles | None:
    """Every file in the folder of a set that can be fetched; None of any other data set."""
    known = fetchable().get(settings.dataset["name"])
    if known is None:
        return None
    folder = Path(settings.data_dir) / known.folder
    found = (path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return OwnFiles(sorted(path for path in found if path.is_file()), folder)


def source_digest(settings: RunSettings) -> str | None:
    """Of the Python file that defines the data set; None where it has none, as in a notebook."""
    file = getattr(sys.modules.get(datasets[settings.dataset["name"]].__module__), "__file__", None)
    with suppress(OSError):
        return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return None


def examples_digest(data: Any) -> str | None:
    """Of all examples and labels of a finite set; None of one that draws every example anew."""
    if isinstance(data, ImageData | PointData):
        parts = (data.train, data.validation, data.test)
        return _of_tensors(tensor for part in parts for tensor in (part.x, part.label))
    if data.train_stream(1, 0).steps_per_epoch is None:
        return None
    with seeded(0, CPU):
        batches = [data.examples(MOST, 0), data.heldout(MOST, 0)]
    return _of_tensors(tensor for batch in batches for tensor in (batch.x, batch.label))


def density_digest(data: Any) -> str | None:
    """Of a few samples of a density, so rounded that another machine's last digits do not matter; None where the same seed does
    not give the same samples.
    """
    device, drawn = data.heldout(1, 0).x.device, []
    for _ in range(2):
        with seeded(0, CPU):
            drawn.append(data.to(CPU).heldout(PROBES, 0).x)
    data.to(device)  # another device has other random numbers
    first, second = map(rounded, drawn)
    return _of_tensors([first]) if torch.equal(first, second) else None


def rounded(x: Tensor) -> Tensor:
    """x as whole multiples of a power of two, about a thirtieth of its mean absolute value."""
    x = x.double().nan_to_num()
    size = float(x.abs().mean())
    return (x / 2.0 ** (math.floor(math.log2(size)) - 5)).round().long() if size > 0 else x.long()


def _of_tensors(tensors: Iterable[Tensor | None]) -> str:
    """SHA-256 of the type, the shape and the bytes of each."""
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor is None:
            digest.update(b"none\0")
        else:
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\0".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _joined(words: Iterable[str | None]) -> str:
    return hashlib.sha256("\0".join(word or "" for word in words).encode()).hexdigest()
