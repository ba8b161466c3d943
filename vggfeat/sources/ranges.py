"""Files read here and there: those on this machine and those at addresses alike."""

from __future__ import annotations

import io
import os
import threading
from functools import lru_cache
from typing import IO, Any, Protocol

from vggfeat.address import is_address
from vggfeat.errors import ImageError, TransientImageError
from vggfeat.outcome import Stamp
from vggfeat.remote import filesystem, retrying
from vggfeat.sources.files import CHANGED
from vggfeat.sources.objects import as_image_error, stamp_of
from vggfeat.trouble import ShortBodyError

_BUFFER = 1 << 20

NO_RANGES = "the server gives no parts of a file, by which it has to be read: fetch it first"


class Ranges(Protocol):
    """A file of which any part can be read, by any thread."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def stamp(self) -> Stamp | None:
        """As it was when it was opened."""

    def read(self, start: int, length: int) -> bytes:
        """That part of it, or less where it ends. Raises ImageError, OSError."""


class _Local:
    def __init__(self, path: str) -> None:
        self._path = path
        info = os.stat(path)
        self.size = info.st_size
        self.stamp = Stamp(info.st_size, info.st_mtime_ns)

    def read(self, start: int, length: int) -> bytes:
        with open(self._path, "rb", buffering=0) as file:
            info = os.fstat(file.fileno())
            if Stamp(info.st_size, info.st_mtime_ns) != self.stamp:
                raise TransientImageError(CHANGED)
            file.seek(start)
            return _all(file, length)


class Remote:
    """A file at an address, opened for whoever reads it.

    Attributes:
        has_ranges: whether the server gives parts of it.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with as_image_error():
            self._opened, info = retrying(self._open, where=address)
        self.size: int | None = info.get("size")
        self.stamp = stamp_of(info)
        self.has_ranges = self.size is not None and info.get("partial", True)

    def _open(self) -> tuple[Any, dict[str, Any]]:
        files, path = filesystem(self._address)
        if not files.async_impl:  # its files are not for several threads
            return None, files.info(path)
        # Opened once: it asks for its parts as of the version that was there then.
        opened = files.open(path, "rb", cache_type="none")
        told = getattr(opened, "details", {})
        return opened, told if stamp_of(told) else files.info(path)

    def read(self, start: int, length: int) -> bytes:
        end = min(start + length, self.size or 0)
        if not self.has_ranges:
            raise ImageError(NO_RANGES)
        if end <= start:
            return b""
        with as_image_error():
            return retrying(lambda: self._read(start, end), where=self._address)

    def _read(self, start: int, end: int) -> bytes:
        data: bytes
        try:
            if self._opened is not None:
                data = self._opened._fetch_range(start, end)
            else:
                files, path = filesystem(self._address)
                data = files.cat_file(path, start, end)
        except Exception as error:
            if better := _better(error):
                raise better from error
            raise
        if len(data) != end - start:
            raise ShortBodyError(len(data), end - start)
        return data

    def check_unchanged(self) -> None:
        """Raise TransientImageError where it is another one by now."""
        with as_image_error():
            files, path = filesystem(self._address)
            now = retrying(lambda: stamp_of(files.info(path)), where=self._address)
        if now != self.stamp:
            raise TransientImageError(CHANGED)


def _better(error: Exception) -> ImageError | None:
    """What an error means here, where it does not say so."""
    if "FileExpired" in {base.__name__ for base in type(error).__mro__}:  # s3fs
        return TransientImageError(CHANGED)
    if isinstance(error, ValueError) and "range requests" in str(error):  # fsspec's http
        return ImageError(NO_RANGES)
    return None


def open_ranges(name: str) -> Ranges:
    """A file, or what is at an address. Raises ImageError, OSError."""
    if not is_address(name):
        return _Local(name)
    found = Remote(name)
    if not found.has_ranges:
        raise ImageError(NO_RANGES)
    return found  # type: ignore[return-value]  # its size is known


@lru_cache(maxsize=64)
def _kept_open(name: str, stamp: Stamp | None, pid: int) -> Ranges:
    found = open_ranges(name)
    if found.stamp != stamp:
        raise TransientImageError(CHANGED)
    return found


def ranges_as_of(name: str, stamp: Stamp | None) -> Ranges:
    """A file that had that stamp when it was looked at; at an address it is kept open.

    Raises:
        TransientImageError: it has changed since.
        ImageError, OSError: it cannot be read.
    """
    return _kept_open(name, stamp, os.getpid())


class RangesFile(io.RawIOBase):
    """Such a file, for libraries that want a Python file."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._at = 0
        self._lock = threading.Lock()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ranges.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        with self._lock:
            data = self._ranges.read(self._at, len(buffer))
            self._at += len(data)
        buffer[: len(data)] = data
        return len(data)


def buffered(ranges: Ranges) -> io.BufferedReader:
    """Such a file, for libraries that read little by little."""
    return io.BufferedReader(RangesFile(ranges), _BUFFER)


def _all(file: IO[bytes], length: int) -> bytes:
    """As much as there is, up to a length: an unbuffered file may give less at a time."""
    data = file.read(length)
    while len(data) < length and (more := file.read(length - len(data))):
        data += more
    return data
