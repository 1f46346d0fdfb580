"""Fetching data sets, from a server on this machine that answers as badly as servers do."""

import errno
import gzip
import hashlib
import io
import os
import shutil
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest

from genexp.errors import UserError
from genexp.fetch.download import Downloader
from genexp.fetch.fetch import fetch
from genexp.fetch.files import Form, Item, settle
from genexp.fetch.sets import FetchableSet, fetchable
from genexp.fetch.sources import Archives, Mirrors

CONTENT = np.random.default_rng(0).bytes(300_000)
NAME = "digits.gz"


class Answer(NamedTuple):
    """What the server says: a status, headers, a body of which `sent` bytes are sent (None: all), all at once or not."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    sent: int | None = None
    announced: bool = True
    pace: float = 0.0  # seconds after each ten bytes


@dataclass
class Site:
    """A server; `script` holds its next answers, after which it answers as a good server with `files` does."""

    files: dict[str, bytes]
    script: list[Callable[[bytes, int], Answer | None]] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, path: str, begin: int) -> Answer | None:
        self.asked.append((path, begin))
        content = self.files.get(path.strip("/"))
        if content is None:
            return Answer(404, b"<html>not here</html>", {"Content-Type": "text/html"})
        return self.script.pop(0)(content, begin) if self.script else good(content, begin)


def good(content: bytes, begin: int) -> Answer:
    if begin >= len(content):
        return Answer(416, b"")
    span = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
    return Answer(206 if begin else 200, content[begin:], span)


def breaks_after(count: int) -> Callable[[bytes, int], Answer]:
    return lambda content, begin: good(content, begin)._replace(sent=count)


def without_ranges(content: bytes, begin: int) -> Answer:
    return Answer(200, content)


def silent(content: bytes, begin: int) -> None:
    return None


def trickling(content: bytes, begin: int) -> Answer:
    return good(content, begin)._replace(pace=0.05, sent=600)


@pytest.fixture
def site() -> Iterator[Site]:
    here = Site({NAME: CONTENT})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            begin = int(self.headers.get("Range", "bytes=0-").split("=")[1].rstrip("-"))
            answer = here.answer(self.path, begin)
            if answer is None:
                here.over.wait(20)
                return
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/gzip", **answer.headers}.items():
                self.send_header(name, value)
            if answer.announced:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if not answer.pace:
                self.wfile.write(answer.body[: answer.sent])
            for position in range(0, answer.sent if answer.pace and answer.sent else 0, 10):
                self.wfile.write(answer.body[position : position + 10])
                if here.over.wait(answer.pace):
                    return

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield here
    here.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def patient(waited: list[float]) -> Downloader:
    """A downloader that only writes down how long it would have waited."""
    return Downloader(sleep=waited.append)


@pytest.fixture
def hasty(waited: list[float]) -> Downloader:
    """The same for servers that keep one waiting."""
    return Downloader(timeout=0.3, sleep=waited.append)


def digits(url: str, *more: str, content: bytes = CONTENT) -> FetchableSet:
    form = Form(f"raw/{NAME}", hashlib.sha256(content).hexdigest(), len(content))
    return FetchableSet("digits", "Digits", "MIT", "raw", (Item((form,)),), Mirrors((url, *more)), len(content))


def test_a_file_takes_its_place_once_and_is_not_asked_for_again(site: Site, patient: Downloader, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(digits(site.url), tmp_path, downloader=patient)
    assert (tmp_path / "raw" / NAME).read_bytes() == CONTENT
    assert site.asked == [(f"/{NAME}", 0)]
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [NAME]


def test_what_breaks_off_is_gone_on_with(site: Site, patient: Downloader, waited: list[float], tmp_path: Path) -> None:
    site.script = [breaks_after(100_000), breaks_after(50_000), lambda content, begin: Answer(503, b""), breaks_after(0)]
    fetch(digits(site.url), tmp_path, downloader=patient)
    assert [begin for _, begin in site.asked] == [0, 100_000, 150_000, 150_000, 150_000]
    assert waited == [1.0, 1.0, 2.0, 4.0]  # longer each time that nothing came
    assert (tmp_path / "raw" / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answers", "words", "kept"),
    [
        ([breaks_after(70_000)] + 9 * [breaks_after(0)], "broke off after 70,000 of 300,000 bytes", 70_000),
        (9 * [silent], "for 0.3 s", 0),
        (9 * [lambda content, begin: Answer(503, b"")], "HTTP 503 Service Unavailable", 0),
        ([lambda content, begin: Answer(404, b"")], "HTTP 404 Not Found", 0),
        ([lambda content, begin: Answer(403, b"")], "HTTP 403 Forbidden", 0),
        ([lambda content, begin: Answer(416, b"")], "HTTP 416", 0),
        ([lambda content, begin: Answer(200, b"<html>log in", {"Content-Type": "text/html; charset=utf-8"})], "a web page", 0),
        ([lambda content, begin: Answer(200, content + b"!")], "it offers 300,001 bytes instead of 300,000", 0),
        ([lambda content, begin: Answer(200, content + b"!", announced=False)], "it sends more than 300,000 bytes", 0),
        ([lambda content, begin: Answer(200, content[:-1])], "it offers 299,999 bytes", 0),
        ([lambda content, begin: Answer(200, content[::-1])], "its SHA-256 is .*, and not the published", 0),
        ([breaks_after(9), lambda content, begin: Answer(404, b"")], "HTTP 404 Not Found", 9),
    ],
)
def test_what_cannot_be_had_ends_in_one_line(
    site: Site, patient: Downloader, hasty: Downloader, tmp_path: Path, answers: list, words: str, kept: int
) -> None:
    site.script = [*answers]
    with pytest.raises(UserError, match=rf"{NAME} could not be downloaded \(127\.0\.0\.1:\d+: .*{words}") as failure:
        fetch(digits(site.url), tmp_path, downloader=hasty if silent in answers else patient)
    left = list((tmp_path / "raw").iterdir()) if kept else [*tmp_path.iterdir()]
    assert [path.read_bytes() for path in left] == ([CONTENT[:kept]] if kept else [])
    assert (f"the {kept:,} bytes that have come are kept" in str(failure.value.hint)) == bool(kept)
    if kept:
        site.script = []
        fetch(digits(site.url), tmp_path, downloader=patient)
        assert site.asked[-1] == (f"/{NAME}", kept)
        assert (tmp_path / "raw" / NAME).read_bytes() == CONTENT


def test_a_full_disk_keeps_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def half(path: Path, content: bytes) -> None:
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(UserError, match=r"picture\.jpg: cannot be written"):
        settle(b"whole", tmp_path / "picture.jpg")
    assert [*tmp_path.iterdir()] == []


def test_folders_into_which_nothing_came_are_gone(site: Site, patient: Downloader, tmp_path: Path) -> None:
    there = tmp_path / "mine"
    there.mkdir()
    for folder in (tmp_path / "mistyped", there):
        site.script = [lambda content, begin: Answer(404, b"")]
        with pytest.raises(UserError):
            fetch(digits(site.url), folder, downloader=patient)
    assert [*tmp_path.rglob("*")] == [there]


def test_what_hardly_comes_is_given_up_and_gone_on_with(
    site: Site, hasty: Downloader, waited: list[float], tmp_path: Path
) -> None:
    site.script = [trickling, trickling, silent]
    fetch(digits(site.url), tmp_path, downloader=hasty)
    begins = [begin for _, begin in site.asked]
    assert begins[0] == 0 < begins[1] < 600
    assert begins[1] < begins[2] < begins[1] + 600
    assert waited[:3] == [1.0, 2.0, 4.0]  # a few bytes are no progress
    assert (tmp_path / "raw" / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answers",
    [
        [without_ranges],
        [lambda content, begin: Answer(206, content[5:], {"Content-Range": f"bytes 5-{len(content) - 1}/{len(content)}"})],
        [lambda content, begin: Answer(206, content[begin:])],
        [good],
    ],
)
@pytest.mark.parametrize("beginning", [CONTENT[:1000], bytes(1000), CONTENT + b"!", CONTENT, bytes(300_000)])
def test_whatever_lies_there_from_before_and_whatever_the_server_makes_of_ranges(
    site: Site, patient: Downloader, tmp_path: Path, beginning: bytes, answers: list
) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / f"{NAME}.part").write_bytes(beginning)
    site.script = [*answers]
    fetch(digits(site.url), tmp_path, downloader=patient)
    assert (tmp_path / "raw" / NAME).read_bytes() == CONTENT


def test_another_mirror_is_tried_before_waiting(site: Site, patient: Downloader, waited: list[float], tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        fetch(digits(f"{site.url}nowhere/", nobody, site.url), tmp_path, downloader=patient)
        assert waited == []
        with pytest.raises(UserError, match=r"HTTP 404 Not Found; 127\.0\.0\.1:\d+: no connection: Connection refused"):
            fetch(digits(f"{site.url}nowhere/", nobody), tmp_path / "other", downloader=patient)


def test_a_file_of_the_users_is_put_aside_and_never_lost(
    site: Site, patient: Downloader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "raw" / NAME
    place.parent.mkdir()
    for number, aside in enumerate((f"{NAME}.bad", f"{NAME}.bad2")):
        place.write_text(f"mine {number}")
        fetch(digits(site.url), tmp_path, downloader=patient)
        assert place.read_bytes() == CONTENT
        assert (place.parent / aside).read_text() == f"mine {number}"
        assert f"{NAME} was not as published, and is now {aside}" in capsys.readouterr().out
    place.write_text("mine still")
    with pytest.raises(UserError):
        fetch(digits(f"{site.url}nowhere/"), tmp_path, downloader=patient)
    assert place.read_text() == "mine still"  # until there is something better
    fetch(digits(site.url), tmp_path, downloader=patient, replace=False)
    assert place.read_text() == "mine still"


def test_a_plain_file_that_hides_the_packed_one_is_put_aside(site: Site, patient: Downloader, tmp_path: Path) -> None:
    """The reader takes the plain file first, so a wrong one must not stay before the right packed one."""
    data = digits(site.url)
    packed = data.items[0].fetched
    plain = Form("raw/digits", hashlib.sha256(b"plain").hexdigest())
    both = FetchableSet("digits", "Digits", "MIT", "raw", (Item((plain, packed)),), data.source, 1)
    (tmp_path / "raw").mkdir()
    for content, asked, names in ((b"plain", 0, ["digits"]), (b"other", 1, ["digits.bad", NAME]), (b"third", 1, None)):
        (tmp_path / "raw" / "digits").write_bytes(content)
        fetch(both, tmp_path, downloader=patient)
        assert len(site.asked) == asked
        assert names is None or sorted(path.name for path in (tmp_path / "raw").iterdir()) == names
    assert (tmp_path / "raw" / "digits.bad2").read_bytes() == b"third"


def test_no_space_and_no_folder_are_said(
    site: Site, patient: Downloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/raw: cannot be made \(Not a directory\)"):
        fetch(digits(site.url), tmp_path / "file", downloader=patient)
    (tmp_path / "other" / "raw" / f"{NAME}.part").mkdir(parents=True)
    with pytest.raises(UserError, match=r"digits\.gz\.part: cannot be written \(Is a directory\)"):
        fetch(digits(site.url), tmp_path / "other", downloader=patient)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 100, 100))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="300,000 bytes are needed, and 100 are free"):
        fetch(digits(site.url), tmp_path, downloader=patient)


# --- an archive ------------------------------------------------------------------------------------------------

PICTURES = {f"train/apples/Apple Braeburn_{n}.jpg": b"apple %d" % n for n in range(3)} | {"test/kiwis/Kiwi_9.jpg": b"kiwi 9"}
INSIDE = {
    path.replace("train", "VAEs/data/Fruit").replace("test/kiwis", "VAEs/data/Fruit/test2"): content
    for path, content in PICTURES.items()
}


def archive(*extra: tuple[tarfile.TarInfo, bytes], files: dict[str, bytes] = INSIDE) -> bytes:
    """The repository as its host packs it: everything below one folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, content in {"README.md": b"text", **files}.items():
            member = tarfile.TarInfo(f"Seminar-0a79dbe/{path}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member, content in extra:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def fruit(*urls: str) -> FetchableSet:
    items = tuple(Item((Form(f"fruit/{path}", hashlib.sha256(content).hexdigest()),)) for path, content in PICTURES.items())
    return FetchableSet("fruit", "Fruit", "CC BY-SA 4.0", "fruit", items, Archives(urls, below="VAEs/data/Fruit"), 1)


def lying(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pictures_come_out_of_the_archive_and_nothing_else_does(site: Site, patient: Downloader, tmp_path: Path) -> None:
    tricks = []
    for name in ("Apple Braeburn_0.jpg", "../../evil.jpg", "/tmp/evil.jpg", "../Apple Braeburn_1.jpg", "x.jpg"):
        tricks.append((tarfile.TarInfo(f"Seminar-0a79dbe/VAEs/data/Fruit/apples/{name}"), b"something else"))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
        member = tarfile.TarInfo("Seminar-0a79dbe/VAEs/data/Fruit/apples/Apple Braeburn_2.jpg")
        member.type, member.linkname = kind, "../../../../../../etc/passwd"
        tricks.append((member, b""))
    site.files["fruit.tar.gz"] = archive(*tricks)
    fetch(fruit(f"{site.url}fruit.tar.gz"), tmp_path / "data", downloader=patient)
    assert lying(tmp_path) == {f"data/fruit/{path}": content for path, content in PICTURES.items()}
    fetch(fruit(f"{site.url}fruit.tar.gz"), tmp_path / "data", downloader=patient)
    assert len(site.asked) == 1


def test_only_what_is_missing_is_written(site: Site, patient: Downloader, tmp_path: Path) -> None:
    site.files["fruit.tar.gz"] = archive()
    here = tmp_path / "fruit" / "train" / "apples"
    here.mkdir(parents=True)
    (here / "Apple Braeburn_0.jpg").write_bytes(b"apple 0")
    (here / "Apple Braeburn_1.jpg").write_bytes(b"torn")
    before = (here / "Apple Braeburn_0.jpg").stat()
    fetch(fruit(f"{site.url}fruit.tar.gz"), tmp_path, downloader=patient)
    after = (here / "Apple Braeburn_0.jpg").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert lying(tmp_path / "fruit") == {**PICTURES, "train/apples/Apple Braeburn_1.jpg.bad": b"torn"}


def test_an_archive_that_lacks_some_gives_the_others(site: Site, patient: Downloader, tmp_path: Path) -> None:
    some = {**INSIDE, "VAEs/data/Fruit/test2/Kiwi_9.jpg": b"another kiwi"}
    site.files["old.tar.gz"] = archive(files=some)
    with pytest.raises(UserError, match="1 of 4 files are not in the archive as they should be"):
        fetch(fruit(f"{site.url}old.tar.gz"), tmp_path, downloader=patient)
    assert lying(tmp_path / "fruit") == {path: content for path, content in PICTURES.items() if "kiwi" not in path}
    site.files["new.tar.gz"] = archive()
    fetch(fruit(f"{site.url}old.tar.gz", f"{site.url}new.tar.gz"), tmp_path, downloader=patient)
    assert lying(tmp_path / "fruit") == PICTURES


@pytest.mark.parametrize("spoil", [lambda b: b[:-30], lambda b: b[:60] + bytes(20) + b[80:], lambda b: b"PK" + b, gzip.compress])
def test_a_broken_archive_is_no_archive(site: Site, patient: Downloader, tmp_path: Path, spoil) -> None:
    site.files["fruit.tar.gz"] = spoil(archive())
    with pytest.raises(UserError, match=r"the archive could not be downloaded .*(whole \.tar\.gz|not in the archive)"):
        fetch(fruit(f"{site.url}fruit.tar.gz"), tmp_path, downloader=patient)
    assert all(PICTURES[path] == content for path, content in lying(tmp_path / "fruit").items())


def test_an_archive_without_length_or_ranges_is_begun_again(site: Site, patient: Downloader, tmp_path: Path) -> None:
    """As GitHub's own: packed as it is asked for."""
    site.files["fruit.tar.gz"] = archive()
    site.script = [breaks_after(100), without_ranges]
    fetch(fruit(f"{site.url}fruit.tar.gz"), tmp_path, downloader=patient)
    assert lying(tmp_path / "fruit") == PICTURES


# --- the sets that there are, and the commands -------------------------------------------------------------------


def test_the_manifest_has_the_article_s_1418_and_30_pictures() -> None:
    paths = [item.fetched.path for item in fetchable()["fruit"].items]
    assert [sum(path.startswith(f"fruit/{part}/") for path in paths) for part in ("train", "test")] == [1418, 30]
    assert {path.split("/")[2] for path in paths} == {"apples", "bananas", "kiwis"}
    assert (
        len({path.rsplit("/", 1)[1] for path in paths})
        == len({item.fetched.digest for item in fetchable()["fruit"].items})
        == 1448
    )


def test_every_set_has_a_licence_whole_sums_and_more_than_one_source() -> None:
    for data in fetchable().values():
        assert data.licence in ("MIT", "CC BY-SA 3.0", "CC BY-SA 4.0")
        assert len(data.source.urls) > 1  # type: ignore[attr-defined]
        for form in (form for item in data.items for form in item.forms):
            assert len(bytes.fromhex(form.digest)) == {"sha256": 32, "md5": 16}[form.algorithm]
            assert form.path.startswith(data.folder)


@pytest.fixture
def small_sets(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    site.files["fruit.tar.gz"] = archive()
    sets = {"digits": digits(site.url), "fruit": fruit(f"{site.url}fruit.tar.gz")}
    monkeypatch.setattr("genexp.fetch.sets.fetchable", lambda: sets)
    monkeypatch.delenv("GENEXP_DATA")


@pytest.mark.usefixtures("small_sets")
def test_status_fetch_verify_as_typed(genexp, tmp_path: Path) -> None:
    code, out, _ = genexp("data", "status")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "not there" in lines["digits"]
    assert lines["fruit"].endswith("data/fruit  CC BY-SA 4.0  genexp data fetch fruit")
    assert "nothing to fetch" in lines["qr"]
    assert genexp("data")[1] == out
    code, _, err = genexp("data", "verify", "digits")
    assert code == 2
    assert err.startswith(f"error: digits: raw/{NAME} is missing\nhint: genexp data fetch digits ")
    code, out, err = genexp("data", "fetch", "all")
    assert (code, err) == (0, "")
    assert "licence CC BY-SA 4.0" in out
    code, out, _ = genexp("data", "verify", "all")
    assert code == 0
    assert "fruit: 4 of 4 files in data/fruit are as published" in out
    lost = tmp_path / "data" / "fruit" / "test" / "kiwis" / "Kiwi_9.jpg"
    lost.unlink()
    status = genexp("data", "status")[1]
    assert "partly there: 1 of 4 missing (test/kiwis/Kiwi_9.jpg)" in status
    lost.write_bytes(b"kiwi 8")
    code, out, err = genexp("data", "verify", "all")
    assert code == 2
    assert err.startswith("error: fruit: fruit/test/kiwis/Kiwi_9.jpg differs from the published file (SHA-256 ")
    assert "digits: 1 of 1 files" in out


@pytest.mark.usefixtures("small_sets")
def test_another_place_and_another_mirror(genexp, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["mirror/digits.gz"] = CONTENT
    assert genexp("data", "fetch", "digits", "--data-dir", "else", "--mirror", f"{site.url}mirror")[0] == 0
    assert site.asked == [("/mirror/digits.gz", 0)]
    assert (tmp_path / "else" / "raw" / NAME).read_bytes() == CONTENT
    assert "genexp data fetch fruit --data-dir else" in genexp("data", "status", "--data-dir", "else")[1]
    assert "genexp data fetch fruit --data-dir 'my data'" in genexp("data", "status", "--data-dir", "my data")[1]
    monkeypatch.setenv("GENEXP_DATA", "else")
    assert "digits: 1 of 1 files in else/raw" in genexp("data", "verify", "digits")[1]


@pytest.mark.usefixtures("small_sets")
@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        (["fetch", "digit"], "unknown data set to fetch 'digit'; did you mean 'digits'?", "there are: digits, fruit"),
        (["fetch"], "required: SET", "genexp data fetch --help"),
        (["fetc"], "unknown action 'fetc'; did you mean 'fetch'?", "status, verify"),
        (["status", "--dta-dir"], "unknown argument '--dta-dir'; did you mean '--data-dir'?", "--help"),
        (["fetch", "all", "--mirror", "http://x"], "of which data set?", "SET --mirror"),
        (["fetch", "digits", "--mirror", "ftp://x"], "not an address", "http://"),
        (["fetch", "digits", "--mirror", "http://127.0.0.1:9"], "could not be downloaded", None),
    ],
)
def test_mistakes(genexp, typed: list[str], error: str, hint: str | None) -> None:
    code, _, err = genexp("data", *typed)
    assert code == 2
    assert error in err.splitlines()[0]
    assert hint is None or hint in err.splitlines()[1]


def test_without_pictures_of_fruit_a_run_says_how_to_get_them(genexp, tmp_path: Path) -> None:
    code, _, err = genexp("run", "experiment=fruit_vae", "data_dir=empty")
    assert code == 2
    assert "hint: genexp data fetch fruit --data-dir empty; or" in err
    assert not list(tmp_path.rglob("*"))
