"""Files that are read from their beginning to their end, and what is read of them ahead."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Generator, Iterator
from queue import Full, Queue
from typing import IO, Any

from vggfeat.errors import ImageError

_AHEAD = 2  # blocks
_PIECE = 1 << 18
_LONGEST_READ = 1 << 24  # of what is no image: headers


class Forward:
    """A file that is read from its beginning to its end, and can skip, but not go back.

    Attributes:
        last: what the last `read` gave.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0
        self.last = b""
        self._given_back = b""

    def tell(self) -> int:
        return self._at

    def seek(self, to: int) -> None:
        while self._at < to:
            if not self.take(min(to - self._at, _PIECE)):
                return

    def read(self, size: int) -> bytes:
        """Up to so many bytes of what only tells of images. Raises ImageError: too many."""
        if size > _LONGEST_READ:
            raise ImageError(f"damaged: a header of {size:,} bytes")
        self.last = self.take(size)
        return self.last

    def take(self, size: int) -> bytes:
        """So many bytes, or less where it ends."""
        pieces = []
        if self._given_back and size:
            piece, self._given_back = self._given_back[:size], self._given_back[size:]
            pieces.append(piece)
            size -= len(piece)
            self._at += len(piece)
        while size and (piece := self._file.read(size)):
            pieces.append(piece)
            size -= len(piece)
            self._at += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def give_back(self, taken: bytes) -> None:
        """Let what was taken last be there to be taken."""
        self._given_back = taken + self._given_back
        self._at -= len(taken)


class Seeking(Forward):
    """A file that is skipped in without reading."""

    def seek(self, to: int) -> None:
        self._at = self._file.seek(to)

    def give_back(self, taken: bytes) -> None:
        self.seek(self._at - len(taken))


def ahead(read: Callable[[], bytes]) -> Generator[bytes, None, None]:
    """What a function gives until it gives nothing, called some times ahead by a thread."""
    waiting: Queue[bytes | BaseException] = Queue(_AHEAD)
    closed = threading.Event()

    def put(item: bytes | BaseException) -> None:
        while not closed.is_set():
            try:
                waiting.put(item, timeout=0.5)
            except Full:
                continue
            break

    def work() -> None:
        try:
            while not closed.is_set():
                put(data := read())
                if not data:
                    return
        except BaseException as error:
            put(error)

    threading.Thread(target=work, daemon=True, name="stream").start()
    try:
        while item := waiting.get():
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()


class Blocks(io.RawIOBase):
    """Blocks as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
