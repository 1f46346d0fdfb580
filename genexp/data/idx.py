"""Files in the IDX format of MNIST: a magic number, the sizes, the bytes.

Source: http://yann.lecun.com/exdb/mnist, "The IDX file format".
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch

from genexp.data.images import ImageSet
from genexp.errors import UserError

_BYTES = 0x08  # the type code of unsigned bytes
_LARGEST = 1 << 30  # bytes, unpacked; the training pictures of MNIST are 47 million


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of bytes in an IDX file, plain or beside it as .gz; UserError when it is not whole or not one."""
    try:
        packed = path.with_name(path.name + ".gz")
        with path.open("rb") if path.exists() else gzip.open(packed) as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as failure:
        reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else "not whole"
        raise UserError(f"{path}: cannot be read ({reason})") from None
    if len(content) > _LARGEST:
        raise UserError(f"{path}: more than {_LARGEST >> 20} MiB are in it")
    header = 4 + 4 * dimensions
    magic = int.from_bytes(content[:4], "big")
    expected = _BYTES << 8 | dimensions
    if len(content) < header or magic != expected:
        raise UserError(f"{path}: not the right IDX file: its magic number is {magic:#010x}, not {expected:#010x}")
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4)]
    if len(content) - header != math.prod(sizes):
        promised = f"{' × '.join(map(str, sizes))} = {math.prod(sizes):,} bytes"
        raise UserError(f"{path}: {'truncated' if len(content) - header < math.prod(sizes) else 'too long'}: "
                        f"its header promises {promised}, and {len(content) - header:,} follow")  # fmt: skip
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)


def read_pair(images: Path, labels: Path, classes: int) -> ImageSet:
    """Pictures with their labels; UserError when they do not belong together."""
    x, label = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(label):
        raise UserError(f"{images} holds {len(x):,} pictures, but {labels} {len(label):,} labels")
    if not x.size:
        raise UserError(f"{images}: no pictures in it")
    if label.max() >= classes:
        raise UserError(f"{labels}: label {label.max()} at position {int(label.argmax())}; there are {classes} classes")
    return ImageSet(torch.tensor(x)[:, None], torch.tensor(label, dtype=torch.long))
