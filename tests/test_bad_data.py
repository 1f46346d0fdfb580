"""Hostile pictures, archives and numbers; a bad day on one machine."""

import gzip
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genexp.data import idx as idx_files
from genexp.errors import UserError
from genexp.folder.run_folder import RunFolder
from tests.forking import ROOT, Ended
from tests.test_disk import TINY
from tests.test_hostile_commands import wrong_in

VAE = [
    "experiment=glyphs_vae",
    "model.network.encoder_widths=[8]",
    "model.network.decoder_widths=[8]",
    *TINY,
    "evaluation.importance_samples=2",
]
VAE += ["evaluation.quadrature_side=4"]
FOLDER = [*VAE, "dataset=image_folder", "dataset.path=pictures", "dataset.size=8", "dataset.channels=1"]


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG whose header says so."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def idx(*sizes: int, body: bytes = b"", kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes) + body


BAD_PICTURES = {
    "nothing": b"",
    "a huge header": png(100_000, 100_000),
    "a large header": png(60_000, 1_000),
    "no pixels": png(0, 0),
    "cut off": png(50, 50, bytes(100)),
    "text": b"<svg onload=alert(1)>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/tmp/genexp_canary_of_the_tests) (w) file\n",
    "a zip": b"PK\x03\x04" + bytes(50),
    "a gif cut off": b"GIF89a\xff\xff\xff\xff\x00\x00\x00,",
    "a tiff loop": b"II*\x00\x08\x00\x00\x00\x01\x00" + bytes(12) + b"\x08\x00\x00\x00",
}


@pytest.mark.parametrize("content", BAD_PICTURES.values(), ids=BAD_PICTURES.keys())
def test_pictures_that_are_none(genexp, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    code, _, err = genexp("run", *TINY, "trainer.max_steps=0", "dataset.image=x.png")
    assert wrong_in(Ended(code, err, 0, 0)) is None, err
    (tmp_path / "pictures").mkdir()
    (tmp_path / "x.png").rename(tmp_path / "pictures" / "x.png")
    code, _, err = genexp("run", *FOLDER)
    assert wrong_in(Ended(code, err, 0, 0)) is None, err


NO_FILES = ["/dev/zero", "/dev/null", "/etc", "pipe", "~nobody_at_all/x.png", "a" * 5000]


@pytest.mark.parametrize("image", NO_FILES)
def test_what_is_no_picture_file_is_not_opened(genexp, tmp_path: Path, image: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, _, err = genexp("run", *TINY, f"dataset.image='{image}'")
    assert wrong_in(Ended(code, err, 0, 0)) is None, err


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_pipe_among_the_pictures_is_left_out(genexp, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    os.mkfifo(tmp_path / "pictures" / "pipe.png")
    for number in range(12):
        Image.fromarray(np.full((9, 9), 20 * number, np.uint8)).save(tmp_path / "pictures" / f"{number}.png")
    code, out, err = genexp("run", *FOLDER, "model.latent=2")
    assert code == 0, err
    assert "pipe.png" not in out


BAD_FILES = {
    "nothing": b"",
    "another kind": idx(10, 28, 28, body=bytes(7840), kind=13),
    "swapped": idx(10, body=bytes(10)),
    "cut off": idx(10, 28, 28, body=bytes(99)),
    "too long": idx(1, 28, 28, body=bytes(7840)),
    "none": idx(0, 28, 28),
    "huge": idx(2**32 - 1, 2**32 - 1, 2**32 - 1),
    "text": b"<html>404</html>",
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_digits_that_are_none(genexp, tmp_path: Path, content: bytes, packed: bool) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for name in ("images-idx3", "labels-idx1"):
            path = raw / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content)[: -5 if content == b"" else None] if packed else content)
    code, _, err = genexp("run", "experiment=mnist_vae", *TINY, f"data_dir={tmp_path}")
    assert wrong_in(Ended(code, err, 0, 0)) is None, err


def test_digits_that_unpack_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_files, "_LARGEST", 1 << 20)
    (tmp_path / "x.gz").write_bytes(gzip.compress(idx(2, 1000, 1000, body=bytes(2_000_000))))
    with pytest.raises(UserError, match="more than 1 MiB are in it"):
        idx_files.read_idx(tmp_path / "x", 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("count", "works"), [(1, False), (2, False), (3, True)])
def test_data_sets_of_hardly_anything(genexp, tmp_path: Path, count: int, works: bool) -> None:
    """The smallest that works has a picture for each part: more latents than pixels, batches larger than the data, all alike."""
    (tmp_path / "pictures").mkdir()
    for number in range(count):
        Image.new("L", (8, 8), 200).save(tmp_path / "pictures" / f"{number}.png")
    code, _, err = genexp("run", *FOLDER, "model.latent=100", "trainer.batch_size=512", "run_dir=run")
    if not works:
        assert wrong_in(Ended(code, err, 0, 0)) is None, err
        return
    assert code == 0, err
    assert_numbers_are_numbers(tmp_path / "run")


DIVERGING = ["trainer.lr=1000", "dataset.stds=[[1e-30,1e-30],[1e-30,1e-30]]", "dataset.means=[[1e30,0],[0,0]]"]


@pytest.mark.parametrize("typed", DIVERGING)
def test_what_diverges_is_said_and_never_a_metric(genexp, tmp_path: Path, typed: str) -> None:
    words = [
        "experiment=double_gaussian",
        "model.conditioner.width=4",
        "model.transformer.bins=4",
        *TINY,
        "trainer.max_steps=50",
        "run_dir=run",
    ]
    code, _, err = genexp("run", *words, typed)
    if code == 0:
        assert_numbers_are_numbers(tmp_path / "run")
    else:
        assert wrong_in(Ended(code, err, 0, 0)) is None, err


def assert_numbers_are_numbers(run: Path) -> None:
    """metrics.json is JSON without NaN, and log.txt says of every null why."""
    metrics = json.loads((run / "metrics.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    log = (run / "log.txt").read_text()
    unknown = {name for name, value in metrics.items() if value is None}
    assert {name for name in unknown if f"warning: {name} is" not in log} <= {"decoded", "decoded_opencv"}


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    """The second is refused, whoever it is, and the first is not disturbed."""
    run = RunFolder.create("test", str(tmp_path / "run"))
    code = "import pathlib\nfrom genexp.folder.run_folder import RunFolder as R\nwith R(pathlib.Path('run')).lock(): print('in')"
    command, how = [sys.executable, "-c", code], {"cwd": tmp_path, "env": here(), "capture_output": True, "text": True}
    with run.lock():
        second = subprocess.run(command, **how, check=False)
    assert "another process is working on this run" in second.stderr
    assert subprocess.run(command, **how, check=False).stdout == "in\n"


def test_many_folders_made_in_the_same_second(tmp_path: Path) -> None:
    made = [RunFolder.create("test", None, tmp_path).path for _ in range(200)]
    assert len(set(made)) == 200


def here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_closed_streams_and_a_narrow_encoding(tmp_path: Path) -> None:
    code = "import sys; sys.stderr = sys.stdout = None\nfrom genexp.cli import main\nsys.exit(main(['run', 'x=1']))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=here(), capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, b"", b"")
    narrow = {**here(), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = [sys.executable, "-m", "genexp", "run", "trainer.lr=日本"]
    ended = subprocess.run(words, cwd=tmp_path, env=narrow, capture_output=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.isascii()
    assert b"\\u65e5\\u672c" in ended.stderr
