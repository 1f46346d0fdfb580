"""Where files come from: each from one of several mirrors, or all of them out of an archive."""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from genexp.errors import UserError
from genexp.fetch.download import Downloader, Offer, Wrong
from genexp.fetch.files import Form, Item, settle

_LARGEST_FILE = 1_000_000  # bytes; the largest photograph has 6,000
_LONGEST_NAME = 4_096
_LARGEST_ARCHIVE = 2_000_000_000  # bytes, unpacked
_MOST_MEMBERS = 100_000
_BARE = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)  # no content


class Source(Protocol):
    """Something that can bring the fetched forms of `items` to their places below `data_dir`."""

    def at(self, url: str) -> "Source": ...

    def fetch(self, items: Sequence[Item], data_dir: Path, downloader: Downloader) -> None: ...


@dataclass(frozen=True)
class Mirrors:
    """Folders on the web with the same files in them."""

    urls: tuple[str, ...]

    def at(self, url: str) -> "Mirrors":
        return replace(self, urls=(checked(url),))

    def fetch(self, items: Sequence[Item], data_dir: Path, downloader: Downloader) -> None:
        """The missing files, one after the other; each takes its place as soon as its sum is right."""
        for item in items:
            form = item.fetched
            path = data_dir / form.path
            part = path.with_name(path.name + ".part")
            offers = [Offer(f"{url.rstrip('/')}/{path.name}", part, form.size) for url in self.urls]
            downloader.get(path.name, offers, partial(_check, form))
            settle(part, path)
            print(f"  {path.name}  {path.stat().st_size:,} bytes", flush=True)


@dataclass(frozen=True)
class Archives:
    """Addresses of a .tar.gz with the files somewhere in its folder `below`, under names that are theirs alone."""

    urls: tuple[str, ...]
    below: str

    def at(self, url: str) -> "Archives":
        return replace(self, urls=(checked(url),))

    def fetch(self, items: Sequence[Item], data_dir: Path, downloader: Downloader) -> None:
        """Whatever the archive has of the wanted files takes its place, even if some are not in it; then that is an error."""
        wanted = {PurePosixPath(item.fetched.path).name: item.fetched for item in items}
        folder = data_dir / PurePosixPath(items[0].fetched.path).parts[0]
        offers = [Offer(url, folder / f".{PurePosixPath(urlsplit(url).path).name or 'archive'}.part") for url in self.urls]
        found: dict[Form, bytes] = {}

        def check(archive: Path) -> None:
            found.update(read_members(archive, self.below, wanted))
            if len(found) < len(wanted):
                raise Wrong(f"{len(wanted) - len(found):,} of {len(wanted):,} files are not in the archive as they should be")

        try:
            downloader.get("the archive", offers, check)
            for offer in offers:
                offer.part.unlink(missing_ok=True)
        finally:
            for form, content in found.items():
                settle(content, data_dir / form.path)
        print(f"  {len(found):,} files", flush=True)


def read_members(archive: Path, below: str, wanted: Mapping[str, Form]) -> dict[Form, bytes]:
    """The wanted files of a .tar.gz whose sums are right. Nothing is unpacked: names in it are only compared, never used.

    Raises:
        Wrong: it is not a whole .tar.gz, or one that only somebody who means harm would make.
    """
    found: dict[Form, bytes] = {}
    try:
        with gzip.open(archive) as unpacked:
            for path, size in _files(unpacked):
                form = wanted.get(path.name)
                if form is None or size > _LARGEST_FILE or f"/{below}/" not in f"/{path.parent}/":
                    continue
                content = unpacked.read(size)
                if form.holds(content):
                    found[form] = content
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise Wrong(f"it is not a whole .tar.gz ({failure})") from None
    return found


def _files(unpacked: gzip.GzipFile) -> Iterator[tuple[PurePosixPath, int]]:
    """Path and size of each file in a .tar, in order; `unpacked` then stands where its content begins.

    Of `tarfile` no more is used than what reads one block. As a whole it believes what a header says: it steps back, at which
    gzip begins again, it keeps all that is said of any member, and over some of it it takes hours.
    """
    name = None
    for _ in range(_MOST_MEMBERS + 1):
        block = unpacked.read(tarfile.BLOCKSIZE)
        if not any(block):
            return
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        size = 0 if member.type in _BARE else member.size
        end = unpacked.tell() + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if size < 0:
            raise Wrong(f"it describes a file of {size:,} bytes")
        if end > _LARGEST_ARCHIVE:
            raise Wrong(f"it unpacks to more than {_LARGEST_ARCHIVE:,} bytes")
        if member.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):  # what it says is of the next member
            name = _long_name(unpacked.read(min(size, _LONGEST_NAME)), member.type) or name
        else:
            if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                yield PurePosixPath(name or member.name), size
            name = None
        unpacked.seek(end)
    raise Wrong(f"it holds more than {_MOST_MEMBERS:,} files")


def _long_name(content: bytes, kind: bytes) -> str | None:
    """A name for which a member's own block was too short, as GNU tar or as POSIX writes it; None where there is none."""
    pattern = rb"([^\0]+)" if kind == tarfile.GNUTYPE_LONGNAME else rb"(?m)^[0-9]{1,4} path=(.+)$"
    match = re.search(pattern, content)
    return match[1].decode("utf-8", "surrogateescape") if match else None


def checked(url: str) -> str:
    """`url`, if it is an address that can be asked."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise UserError(f"--mirror {url}: not an address", hint="it begins with http:// or https://")
    return url


def _check(form: Form, path: Path) -> None:
    found = form.sum_of(path)
    if found != form.digest:
        raise Wrong(f"its SHA-256 is {found[:12]}…, and not the published {form.digest[:12]}…")
