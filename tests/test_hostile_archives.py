"""Archives that mean harm, fetched as a data set: one line, nothing outside the folder, what was there is as it was."""

import gzip
import io
import random
import tarfile
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from genexp.fetch import sources
from genexp.fetch.download import Wrong
from genexp.fetch.sources import read_members
from tests.forking import Ended
from tests.test_fetch import Answer, Site, archive, fruit, lying, site  # noqa: F401 (a fixture)
from tests.test_hostile_commands import wrong_in

BELOW = "Seminar-0a79dbe/VAEs/data/Fruit"
PLACE = f"{BELOW}/apples/Apple Braeburn_0.jpg"
MEBIBYTE = 1 << 20


def block(name: str, size: int, kind: bytes, content: bytes = b"") -> bytes:
    """A member as it stands in a .tar: `size` is what its header says, which need not be so."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def said(**words: str) -> bytes:
    """A member that only says something of the next one."""
    records = b""
    for name, value in words.items():
        record = f" {name.replace('_', '.')}={value}\n".encode()
        length = next(n for n in range(len(record), len(record) + 9) if len(str(n)) + len(record) == n)
        records += str(length).encode() + record
    return block("said", len(records), tarfile.XHDTYPE, records)


def packed(*blocks: bytes, end: bytes = bytes(2 * tarfile.BLOCKSIZE)) -> bytes:
    return gzip.compress(b"".join(blocks) + end, 1)


def link(kind: bytes, target: str, name: str = PLACE) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member.tobuf(tarfile.GNU_FORMAT)


def named(*names: str) -> bytes:
    return packed(*(block(name, 4, tarfile.REGTYPE, b"evil") for name in names))


LAST = block(PLACE, 7, tarfile.REGTYPE, b"apple 1")  # a right name, and what belongs to another
ARCHIVES: dict[str, Callable[[], bytes]] = {
    "up and out": lambda: named(*(f"{BELOW}/{'../' * n}Apple Braeburn_0.jpg" for n in range(1, 9))),
    "absolute": lambda: named("/etc/Apple Braeburn_0.jpg", f"//{PLACE}", "/tmp/evil.jpg"),
    "symbolic links": lambda: packed(link(tarfile.SYMTYPE, "/etc"), link(tarfile.SYMTYPE, "../.."), LAST),
    "a link, and a file through it": lambda: packed(
        link(tarfile.SYMTYPE, "/tmp", f"{BELOW}/apples"), block(PLACE, 4, tarfile.REGTYPE, b"evil")
    ),
    "hard links": lambda: packed(link(tarfile.LNKTYPE, "/etc/passwd"), link(tarfile.LNKTYPE, "../../../x"), LAST),
    "devices": lambda: packed(*(link(kind, "") for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE))),
    "twice": lambda: packed(*[block(PLACE, 7, tarfile.REGTYPE, b"apple %d" % n) for n in (1, 2)]),
    "wrong sums": lambda: archive(files={f"VAEs/data/Fruit/apples/Apple Braeburn_{n}.jpg": b"other" for n in range(3)}),
    "line breaks and escapes": lambda: named(f"{PLACE}\n", f"{BELOW}/\x1b[2J\x1b]0;owned\x07.jpg", "error: \n", "\udcff.jpg"),
    "more than announced": lambda: packed(block(PLACE, 7, tarfile.REGTYPE, b"apple 0" * 10_000)),
    "less than announced": lambda: packed(block(PLACE, 1 << 33, tarfile.REGTYPE, b"apple 0")),
    "ten terabytes": lambda: packed(block("x", 10 << 40, tarfile.REGTYPE), LAST),
    "less than nothing": lambda: packed(said(size="-100000"), LAST),
    "a name of 30 MB": lambda: packed(block("x", 30 * MEBIBYTE, tarfile.GNUTYPE_LONGNAME, bytes(30 * MEBIBYTE)), LAST),
    "words of 30 MB": lambda: packed(block("x", 30 * MEBIBYTE, tarfile.XHDTYPE, bytes(30 * MEBIBYTE)), LAST),
    "names of names": lambda: packed(block("x", 4, tarfile.GNUTYPE_LONGNAME, b"abc\0") * 5000, LAST),
    "words of words": lambda: packed(said(path="x") * 5000, LAST),
    "holes that are words": lambda: packed(said(GNU_sparse_map="a,b"), LAST),
    "holes of the older kind": lambda: packed(said(GNU_sparse_size="x", GNU_sparse_offset="y"), LAST),
    "holes of the newer kind": lambda: packed(
        said(GNU_sparse_major="1", GNU_sparse_minor="0"), block(PLACE, 512, tarfile.REGTYPE, b"z\nz\n")
    ),
    "a number of 5,000 digits": lambda: packed(block("x", 5006, tarfile.XHDTYPE, b"9" * 5000 + b" a=b\n"), LAST),
    "nothing": bytes,
    "no archive": lambda: gzip.compress(b"text" * 1000),
    "an archive in an archive": lambda: gzip.compress(archive()),
    "torn": lambda: archive()[:-40],
    "no end": lambda: packed(LAST[:600], end=b""),
}


@pytest.fixture
def small_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fruit` is a set of four files."""
    monkeypatch.setattr("genexp.fetch.sets.find_set", lambda name: fruit("http://localhost:9/nowhere.tar.gz"))


@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES.keys())
@pytest.mark.usefixtures("small_set")
def test_nothing_comes_of_it(genexp, site: Site, tmp_path: Path, make: Callable[[], bytes]) -> None:  # noqa: F811
    kept = tmp_path / "data" / "fruit" / "train" / "apples" / "Apple Braeburn_2.jpg"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"apple 2")
    (kept.parent / "Apple Braeburn_1.jpg").write_bytes(b"mine")
    before, times = lying(tmp_path), kept.stat()
    site.files["evil.tar.gz"] = make()
    code, _, err = genexp("data", "fetch", "fruit", "--data-dir", "data", "--mirror", f"{site.url}evil.tar.gz")
    assert wrong_in(Ended(code, err, 0, 0)) is None, err
    after = lying(tmp_path)
    right = {
        "data/fruit/train/apples/Apple Braeburn_0.jpg": b"apple 0",
        "data/fruit/train/apples/Apple Braeburn_1.jpg": b"apple 1",
    }
    assert all(before.get(path, right.get(path)) == content for path, content in after.items())
    assert before.keys() <= after.keys()
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == (b"apple 2", times.st_mtime_ns)
    assert [path for path in tmp_path.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())] == []


@pytest.mark.usefixtures("small_set")
def test_a_server_that_speaks_to_the_terminal(genexp, site: Site, tmp_path: Path) -> None:  # noqa: F811
    site.files["evil.tar.gz"] = b""
    site.script = [lambda content, begin: Answer(200, b"x", {"Content-Type": "text/\x1b[31mhtml", "Content-Length": "-5"})]
    code, _, err = genexp("data", "fetch", "fruit", "--data-dir", "data", "--mirror", f"{site.url}evil.tar.gz")
    assert wrong_in(Ended(code, err, 0, 0)) is None, err
    assert lying(tmp_path) == {}


ZEROS = bytes(MEBIBYTE)
HEAVY: dict[str, Callable[[], bytes]] = {
    "back and forth": lambda: packed(*[block("x", len(ZEROS), tarfile.REGTYPE, ZEROS), said(size=f"-{len(ZEROS)}"), LAST] * 3),
    "holes without end": lambda: packed(
        said(GNU_sparse_major="1", GNU_sparse_minor="0"),
        block(PLACE, 16 * MEBIBYTE, tarfile.REGTYPE, b"9999999\n1\n" * 1_500_000),
    ),
    "holes in no order": lambda: packed(
        said(GNU_sparse_map=",".join(f"{n},1" for n in range(99_999, 0, -1)), GNU_sparse_realsize="100000"), LAST
    ),
    "words without end": lambda: packed(*(said(comment=f"{n} " * 9_000) + block("x", 0, tarfile.REGTYPE) for n in range(400))),
    "words for all": lambda: packed(*(block("x", 60_000, tarfile.XGLTYPE, b"60000 %d=" % n + b"x" * 59_990) for n in range(300))),
    "words within words": lambda: packed(block("x", 20_000, tarfile.XHDTYPE, b"2 " * 9_999 + b"=x"), LAST),
    "digits": lambda: packed(block("x", 900_000, tarfile.XHDTYPE, b"9" * 900_000), LAST),
    "a long name": lambda: packed(block("x", 900_000, tarfile.GNUTYPE_LONGNAME, b"x" * 900_000), LAST),
}


@pytest.mark.parametrize("make", [*HEAVY.values(), *ARCHIVES.values()], ids=[*HEAVY, *ARCHIVES])
def test_an_archive_is_read_once_and_little_of_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]
) -> None:
    """At every step back, gzip begins again: a hundred thousand of them take hours."""
    path = tmp_path / "x.tar.gz"
    path.write_bytes(make())
    wanted = {Path(item.fetched.path).name: item.fetched for item in fruit("http://x/").items}
    seek, back = gzip.GzipFile.seek, []

    def watched(file: gzip.GzipFile, position: int, whence: int = 0) -> int:
        if whence == io.SEEK_SET and position < file.tell():
            back.append(position)
        return seek(file, position, whence)

    monkeypatch.setattr(gzip.GzipFile, "seek", watched)
    tracemalloc.start()
    try:
        with suppress(Wrong):
            read_members(path, "VAEs/data/Fruit", wanted)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert back == []
    assert most < 4 * MEBIBYTE


@pytest.mark.parametrize(
    ("form", "depth"),
    [(tarfile.USTAR_FORMAT, 4), *((form, depth) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT) for depth in (0, 4, 40))],
)
def test_names_of_any_length_are_read(tmp_path: Path, form: int, depth: int) -> None:
    below = "/".join(["Seminar é"] * depth + ["VAEs/data/Fruit"])
    item = fruit("http://x/").items[0].fetched
    content = b"apple 0"
    assert item.holds(content)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=form) as made:
        made.addfile(tarfile.TarInfo(f"{below}/apples"))
        for name in ("other.jpg", Path(item.path).name, "another.jpg"):
            member = tarfile.TarInfo(f"{below}/apples/{name}")
            member.size, member.mtime = len(content), 0.5 if form == tarfile.PAX_FORMAT else 0
            made.addfile(member, io.BytesIO(content))
    assert read_members(tmp_path / "x.tar.gz", below, {Path(item.path).name: item}) == {item: content}


def test_too_many_members_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MOST_MEMBERS", 10)
    (tmp_path / "x.tar.gz").write_bytes(packed(block("x", 0, tarfile.REGTYPE) * 11))
    with pytest.raises(Wrong, match="more than 10 files"):
        read_members(tmp_path / "x.tar.gz", "x", {})


def test_whatever_is_changed_in_an_archive_it_is_read_or_refused(tmp_path: Path) -> None:
    """Three hundred archives with a few bytes changed, in half of them so that a header's own sum is right again."""
    chance, good = random.Random(0), gzip.decompress(archive())
    wanted = {Path(item.fetched.path).name: item.fetched for item in fruit("http://x/").items}
    path = tmp_path / "x.tar.gz"
    for _ in range(300):
        spoilt = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(len(spoilt))] = chance.choice([0, 255, chance.randrange(256)])
        if chance.random() < 0.5:
            start = tarfile.BLOCKSIZE * chance.randrange(len(spoilt) // tarfile.BLOCKSIZE)
            spoilt[start + chance.choice([124, 156, 257, 345, 386, 483])] = chance.choice(b"\0\xff\x80xLKSgX0127")
            head = spoilt[start : start + tarfile.BLOCKSIZE]
            spoilt[start + 148 : start + 156] = b"%06o\0 " % (256 + sum(head[:148]) + sum(head[156:]))
        path.write_bytes(gzip.compress(bytes(spoilt), 1))
        try:
            found = read_members(path, "VAEs/data/Fruit", wanted)
        except Wrong:
            continue
        assert all(form.holds(content) for form, content in found.items())
