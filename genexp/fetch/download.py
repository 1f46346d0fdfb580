"""One file from the network: asked for again when it breaks off, gone on with where it stopped, checked before it is believed."""

import http.client
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from genexp.errors import UserError

T = TypeVar("T")

_CHUNK = 1 << 16
_LIMIT = 2_000_000_000  # bytes, where the size is not known
_SLOW = 1_000  # bytes per second: a connection that brings less is given up
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others a little later


class Wrong(Exception):  # noqa: N818 (said of content)
    """What was received is whole, and not what it should be."""


class _Refused(Exception):  # noqa: N818
    """This address will not do; asking again would not help."""


class _Broken(Exception):  # noqa: N818
    """This attempt failed; the next one may not."""


@dataclass(frozen=True)
class Offer:
    """An address, the file that holds what has come from it so far, and the size in bytes where it is known."""

    url: str
    part: Path
    size: int | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0


@dataclass(frozen=True)
class Downloader:
    """How patient one is.

    Args:
        timeout: seconds without a byte, or with hardly any, after which an attempt is given up.
        waits: seconds before another attempt; those that brought little wait longer each time, and then it is over.
    """

    timeout: float = 30.0
    waits: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def get(self, name: str, offers: Sequence[Offer], check: Callable[[Path], T]) -> T:
        """What `check` makes of the first file that it does not find Wrong; that file is left where its offer says.

        Raises:
            UserError: no address has it. What has come so far stays, for the next time.
        """
        left, reasons, fruitless, furthest = [*offers], dict[str, str](), 0, 0
        while left and fruitless <= len(self.waits):
            if fruitless:
                self.sleep(self.waits[fruitless - 1])
            for offer in [*left]:
                try:
                    return self._attempt(name, offer, check)
                except _Refused as reason:
                    reasons[offer.host] = str(reason)
                    left.remove(offer)
                except _Broken as reason:
                    reasons[offer.host] = str(reason)
            further = max(offer.have() for offer in offers)
            fruitless, furthest = (1 if further >= furthest + _CHUNK // 2 else fruitless + 1), max(further, furthest)
        said = "; ".join(f"{host}: {reason}" for host, reason in reasons.items())
        raise UserError(f"{name} could not be downloaded ({said})", hint=_what_is_kept(offers))

    def _attempt(self, name: str, offer: Offer, check: Callable[[Path], T]) -> T:
        began_at = offer.have()
        if offer.size is None or began_at != offer.size:
            self._receive(name, offer)
        try:
            return check(offer.part)
        except Wrong as reason:
            offer.part.unlink()
            raise (_Broken if began_at else _Refused)(str(reason)) from None  # an old beginning may be to blame

    def _receive(self, name: str, offer: Offer) -> None:
        """One answer of the server, added to what is there."""
        have = offer.have()
        span = {"Range": f"bytes={have}-"} if have else {}
        request = Request(offer.url, headers={"User-Agent": "genexp", "Accept-Encoding": "identity", **span})
        try:
            with urlopen(request, timeout=self.timeout) as answer:
                self._store(name, answer, offer, have)
        except HTTPError as answer:
            if answer.code == 416 and have:  # nothing is left to send: it is whole, or the check will tell
                return
            said = f"HTTP {answer.code} {answer.reason}".strip()
            raise (_Broken if answer.code in _PASSING else _Refused)(said) from None
        except TimeoutError:
            raise _Broken(f"nothing came for {self.timeout:g} s") from None
        except URLError as failure:
            if isinstance(failure.reason, TimeoutError):
                raise _Broken(f"no answer for {self.timeout:g} s") from None
            why = getattr(failure.reason, "strerror", None) or str(failure.reason)
            raise _Refused(f"no connection: {why}") from None
        except (http.client.HTTPException, OSError) as failure:
            raise _Broken(f"broke off: {getattr(failure, 'strerror', None) or type(failure).__name__}") from None

    def _store(self, name: str, answer: Any, offer: Offer, have: int) -> None:
        """The body of an answer into offer.part: from the beginning, or after the `have` bytes that are there."""
        if answer.headers.get_content_type() == "text/html":
            raise _Refused("it answers with a web page instead of the file")
        begin = 0
        if answer.status == 206:
            begin = have
            span = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != have:
                offer.part.unlink(missing_ok=True)
                raise _Broken("it sends another part than was asked for")
        length = answer.headers.get("Content-Length", "")
        total = begin + int(length) if length.isdigit() else offer.size
        limit = _LIMIT if offer.size is None else offer.size
        if total is not None and (total > limit or (offer.size is not None and total != offer.size)):
            raise _Refused(f"it offers {total:,} bytes instead of {limit:,}")
        _need_space(offer.part, (total or 0) - begin)
        got = begin
        with _Bar(name, begin, total) as bar, _opened(offer.part, "ab" if begin else "wb") as file:
            since, before = time.monotonic(), got
            while chunk := answer.read1(_CHUNK):
                got += len(chunk)
                if got > limit:
                    break
                _write(file, chunk, offer.part)
                bar.update(len(chunk))
                if time.monotonic() - since > self.timeout:
                    if got - before < _SLOW * self.timeout:
                        raise _Broken(f"too slow: {got - before:,} bytes in {self.timeout:g} s")
                    since, before = time.monotonic(), got
        if got > limit:
            offer.part.unlink()
            raise _Refused(f"it sends more than {limit:,} bytes")
        if total is not None and got < total:
            raise _Broken(f"broke off after {got:,} of {total:,} bytes")


def _opened(path: Path, mode: str) -> IO[bytes]:
    try:
        return path.open(mode)
    except OSError as failure:
        raise _unwritable(path, failure) from None


def _write(file: IO[bytes], chunk: bytes, path: Path) -> None:
    try:
        file.write(chunk)
    except OSError as failure:
        raise _unwritable(path, failure) from None


def _unwritable(path: Path, failure: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({failure.strerror})", hint="--data-dir or GENEXP_DATA names another place")


def _need_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise UserError(f"{path.parent}: {size:,} bytes are needed, and {free:,} are free", hint="--data-dir names another place")


def _what_is_kept(offers: Sequence[Offer]) -> str | None:
    kept = max((offer.have() for offer in offers), default=0)
    return f"the {kept:,} bytes that have come are kept: the same command goes on from there" if kept else None


class _Bar:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, name: str, begin: int, total: int | None) -> None:
        from tqdm import tqdm

        hidden = not sys.stderr.isatty()
        self.bar = tqdm(desc=name, initial=begin, total=total, unit="B", unit_scale=True, leave=False, disable=hidden)

    def __enter__(self) -> Any:
        return self.bar

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self.bar.close()
