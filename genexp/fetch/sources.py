"""Where files come from: each from one of several mirrors, or all of them out of an archive."""

import gzip
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from genexp.errors import UserError
from genexp.fetch.download import Downloader, Offer, Wrong
from genexp.fetch.files import Form, Item, settle

_LARGEST_MEMBER = 1_000_000  # bytes, and of what is said of it; the largest photograph has 6,000
_LARGEST_ARCHIVE = 2_000_000_000  # bytes, unpacked
_MOST_MEMBERS = 100_000


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
        with gzip.open(archive) as unpacked, tarfile.open(fileobj=_Sparing(unpacked), mode="r:") as members:  # type: ignore[call-overload]
            for count, member in enumerate(members):
                if count == _MOST_MEMBERS:
                    raise Wrong(f"it holds more than {_MOST_MEMBERS:,} files")
                path = PurePosixPath(member.name)
                form = wanted.get(path.name)
                if form is None or not member.isreg() or member.size > _LARGEST_MEMBER or f"/{below}/" not in f"/{path.parent}/":
                    continue
                file = members.extractfile(member)
                content = file.read() if file is not None else b""
                if form.holds(content):
                    found[form] = content
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise Wrong(f"it is not a whole .tar.gz ({failure})") from None
    except (ValueError, OverflowError, RecursionError):  # tarfile trusts what a header says of a file's holes and names
        raise Wrong("it is not a .tar.gz as tar writes it") from None
    return found


class _Sparing:
    """The unpacked bytes of an archive as tarfile reads them; Wrong where it wants more at once than any file of ours has.

    A few kilobytes can unpack to gigabytes; and a name, which tarfile reads whole, may be as long as its header says.
    """

    def __init__(self, file: gzip.GzipFile) -> None:
        self.file = file
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_MEMBER + tarfile.BLOCKSIZE:
            raise Wrong(f"it describes a file in {size:,} bytes")
        return self.file.read(size)

    def seek(self, position: int) -> int:
        if position > _LARGEST_ARCHIVE:
            raise Wrong(f"it unpacks to more than {_LARGEST_ARCHIVE:,} bytes")
        return self.file.seek(position)


def checked(url: str) -> str:
    """`url`, if it is an address that can be asked."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise UserError(f"--mirror {url}: not an address", hint="it begins with http:// or https://")
    return url


def _check(form: Form, path: Path) -> None:
    found = form.sum_of(path)
    if found != form.digest:
        raise Wrong(f"its SHA-256 is {found[:12]}…, and not the published {form.digest[:12]}…")
