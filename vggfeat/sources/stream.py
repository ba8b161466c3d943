"""Files read from their beginning to their end, once: those that are far away or compressed.

A thread reads some blocks ahead. What breaks off is taken up where it was.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from stat import S_ISREG
from typing import IO, Any

from vggfeat.address import is_address
from vggfeat.errors import ImageError, TransientImageError
from vggfeat.outcome import Stamp
from vggfeat.remote import filesystem, retrying
from vggfeat.sources.files import CHANGED
from vggfeat.sources.forward import Blocks, Forward, ahead
from vggfeat.sources.objects import as_image_error
from vggfeat.sources.ranges import NO_RANGES, Remote
from vggfeat.trouble import ShortBodyError

_BLOCK = 1 << 23
_BUFFER = 1 << 18


def _zstandard(file: IO[bytes]) -> Any:
    import pyarrow as pa

    return pa.input_stream(pa.PythonFile(file, "r"), compression="zstd")


_MAGIC: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstandard),
)
LONGEST_MAGIC = 6


def is_compressed(beginning: bytes) -> bool:
    """Whether a file that begins so is to be decompressed."""
    return any(beginning.startswith(magic) for magic, _ in _MAGIC)


@contextmanager
def streamed(name: str) -> Iterator[tuple[Forward, Stamp | None]]:
    """A file or what is at an address, decompressed if need be, and its stamp.

    Raises:
        ImageError: it cannot be read, now or later, or has changed when it is left.
    """
    source = Remote(name) if is_address(name) else _LocalFile(name)
    blocks = source.blocks() if isinstance(source, _LocalFile) else _blocks(source, name)
    with closing(blocks), closing(io.BufferedReader(Blocks(blocks), _BUFFER)) as file:
        beginning = file.peek(LONGEST_MAGIC)[:LONGEST_MAGIC]
        opener = next((how for magic, how in _MAGIC if beginning.startswith(magic)), None)
        yield Forward(opener(file) if opener else file), source.stamp
        source.check_unchanged()


def _blocks(remote: Remote, address: str) -> Generator[bytes, None, None]:
    return ahead(_OneByOne(remote, address).next)


class _OneByOne:
    """The blocks at an address, each tried again where that fails."""

    def __init__(self, remote: Remote, address: str) -> None:
        self.remote = remote
        self._address = address
        self._at = 0
        self._opened: Any = None  # where there are no ranges

    def next(self) -> bytes:
        """The next block; none at the end. Raises ImageError."""
        if self.remote.has_ranges:
            try:
                data = self.remote.read(self._at, _BLOCK)
            except ImageError as error:
                if str(error) != NO_RANGES:
                    raise
                self.remote.has_ranges = False
                return self.next()
        else:
            with as_image_error():
                data = retrying(self._read_on, where=self._address)
        self._at += len(data)
        return data

    def _read_on(self) -> bytes:
        try:
            if self._opened is None:
                files, path = filesystem(self._address)
                self._opened = files.open(path, "rb", block_size=0)
                self._skip_what_came()
            data: bytes = self._opened.read(_BLOCK)
            size = self.remote.size
            if not data and size is not None and self._at < size:
                raise ShortBodyError(self._at, size)
        except Exception:
            self._opened = None
            raise
        return data

    def _skip_what_came(self) -> None:
        skipped = 0
        while skipped < self._at:
            piece = self._opened.read(min(self._at - skipped, _BLOCK))
            if not piece:
                raise TransientImageError(CHANGED)  # into something shorter
            skipped += len(piece)


class _LocalFile:
    def __init__(self, path: str) -> None:
        self._path = path
        info = os.stat(path)
        self.stamp = Stamp(info.st_size, info.st_mtime_ns) if S_ISREG(info.st_mode) else None

    def blocks(self) -> Generator[bytes, None, None]:
        with open(self._path, "rb", buffering=0) as file:
            while data := file.read(_BUFFER):
                yield data

    def check_unchanged(self) -> None:
        """Raise TransientImageError where it is another one by now. A pipe is what it is."""
        info = os.stat(self._path)
        if self.stamp not in (None, Stamp(info.st_size, info.st_mtime_ns)):
            raise TransientImageError(CHANGED)
