"""Images at addresses: objects of a store, files of a server."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from vggfeat.errors import ImageError, TransientImageError, UsageError, VggfeatError
from vggfeat.outcome import Stamp
from vggfeat.remote import describe, filesystem, is_transient, retrying, shown
from vggfeat.sources.base import Source
from vggfeat.sources.files import MAX_BYTES, too_large
from vggfeat.trouble import ShortBodyError

# What the file systems below fsspec call the time of the last change, and what changes with it.
# The last one is the time of a file in memory, which is made anew when it is written.
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "updated", "created")
_TAGS = (
    "ETag", "etag", "generation", "md5Hash", "content_md5", "Content-MD5", "Digest", "xet_hash",
    "blob_id", "sha256",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class RemoteFile:
    """An image file at an address.

    Args:
        address: with whatever is needed to read it.
        stamp: where a listing has told it.
    """

    __slots__ = ("_stamp", "address", "name")

    def __init__(self, address: str, stamp: Stamp | None = None) -> None:
        self.address = address
        self._stamp = stamp
        self.name = shown(address)

    @property
    def is_listed(self) -> bool:
        """Whether its stamp is known without a request."""
        return self._stamp is not None

    def stamp(self) -> Stamp | None:
        if self._stamp is None:
            with contextlib.suppress(Exception):
                self._stamp = retrying(lambda: told_of(self.address), where=self.address)
        return self._stamp

    def read(self) -> Source:
        with as_image_error():
            return retrying(self._read, where=self.address)

    def _read(self) -> Source:
        # Asked before, never after: a stamp that is too old is found out by the next run.
        stamp = self._stamp or told_of(self.address)
        if stamp and stamp.size > MAX_BYTES:
            raise too_large(stamp.size)
        files, path = filesystem(self.address)
        if stamp is None:
            return _whole(files.open(path, "rb"))
        self._stamp = None  # where that fails it may have changed since: ask anew
        # From the first byte on: s3fs asks once more for the size of what it reads whole.
        start = 0 if stamp.size and "s3" in files.protocol else None
        data: bytes = files.cat_file(path, start=start)
        if len(data) != stamp.size:
            raise ShortBodyError(len(data), stamp.size)
        self._stamp = stamp
        return Source(data, stamp)


def _whole(opened: Any) -> Source:
    """The content of what has no length that is known before."""
    data = bytearray()
    with opened as file:
        while piece := file.read(1 << 20):
            data += piece
            if len(data) > MAX_BYTES:
                raise too_large(len(data))
    return Source(bytes(data), Stamp(len(data), 0))


def told_of(address: str) -> Stamp | None:
    """The stamp of what is at an address at present; None where nothing tells it."""
    files, path = filesystem(address)
    return stamp_of(files.info(path))


def stamp_of(info: Mapping[str, Any]) -> Stamp | None:
    """The stamp that a file system tells, in fsspec's words.

    Its `mtime_ns` is the time of the last change; where only a tag changes with the content, a
    negative number made from that, which is no time.
    """
    size = info.get("size")
    if size is None:
        return None
    for name in _TIMES:
        if (time := _nanoseconds(info.get(name))) is not None:
            return Stamp(size, time)
    tag = next((info[name] for name in _TAGS if info.get(name)), None)
    if tag is None:
        return None
    digest = hashlib.sha256(str(tag).encode()).digest()
    return Stamp(size, -1 - int.from_bytes(digest[:7], "big"))


def _nanoseconds(time: Any) -> int | None:
    if isinstance(time, str):
        time = _parsed(time)
    if isinstance(time, datetime):
        zoned = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
        return (zoned - _EPOCH) // timedelta(microseconds=1) * 1000
    # Told by a listing or by itself, a time is to be the same: floats end at microseconds.
    return round(time * 1e6) * 1000 if isinstance(time, (int, float)) else None


def _parsed(time: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(time.replace("Z", "+00:00"))
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(time)
    return None


@contextlib.contextmanager
def as_image_error() -> Iterator[None]:
    """Let whatever goes wrong at an address be what is wrong with an image, in words.

    Raises:
        TransientImageError: it may pass.
        ImageError: it lasts.
    """
    try:
        yield
    except (ImageError, UsageError):
        raise
    except VggfeatError as error:
        raise ImageError(str(error)) from error
    except Exception as error:
        kind = TransientImageError if is_transient(error) else ImageError
        raise kind(describe(error)) from error
