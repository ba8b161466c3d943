"""Files come into memory ahead of those who decode them, where those would have to wait for them.

Storage that is far away answers late, and to many at once. So the first files are read by those
who decode them, and as long as they wait much, there is one more thread that reads ahead, up to
more than there are processors. Where files come at once, that would only cost memory.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from vggfeat.errors import VggfeatError
from vggfeat.workers import Workers

if TYPE_CHECKING:
    from vggfeat.sources import ImageRef, Source

A = TypeVar("A")

_MOST_THREADS = 16  # or as many as use what is read
_LATE = 0.003  # seconds; less, threads may wait for each other
_SHARE = 0.15  # of the users' time is much to wait
_WINDOW = 1.0  # seconds
_MOST_BYTES = 1 << 26


class BeingRead(NamedTuple):
    """An image, and its content where that is read ahead."""

    image: ImageRef
    ahead: Future[Source] | None

    @property
    def is_here(self) -> bool:
        """Whether nobody has to wait for it."""
        return self.ahead is not None and self.ahead.done()


class Reading:
    """Reads images.

    Args:
        users: threads that use what is read, in its order. As many images always have room.
    """

    def __init__(self, users: int) -> None:
        self._threads = Workers(0, name="reader")
        self._most_threads = max(_MOST_THREADS, users)
        self._room = Room(_MOST_BYTES, users)
        self._numbers = itertools.count()
        self._users = users
        self._lock = threading.Lock()
        self._waited = 0.0  # seconds of all users
        self._since = time.perf_counter() - _WINDOW

    def start(self, image: ImageRef, use: Callable[[BeingRead], Future[A]]) -> Future[A]:
        """Read an image ahead, if need be, and keep its room until what `use` gives is settled."""
        number = next(self._numbers)
        self._room.expect(number)
        ahead = None
        if self._threads.count > 0:
            try:
                ahead = self._threads.submit(self._read, (number, image))
            except VggfeatError:  # the system gives no thread: users go on reading for themselves
                self._threads.count = self._most_threads = 0
        used = use(BeingRead(image, ahead))
        used.add_done_callback(lambda _: self._room.leave(number))
        return used

    def result(self, being_read: BeingRead) -> Source:
        """The content of an image, when it is there. For users.

        Raises:
            OSError, ImageError: it cannot be read.
        """
        image, ahead = being_read
        if ahead and ahead.done():
            return ahead.result()
        began = time.perf_counter() - time.thread_time()
        try:
            return ahead.result() if ahead else image.read()
        finally:
            waited = time.perf_counter() - time.thread_time() - began
            if waited > _LATE:
                self._count(waited)

    def shutdown(self) -> None:
        """Begin no more."""
        self._room.close()
        self._threads.shutdown()

    def _count(self, waited: float) -> None:
        """Let one thread more read ahead where users wait much for files that come late."""
        with self._lock:
            now = time.perf_counter()
            if now - self._since > 2 * _WINDOW:
                self._waited, self._since = 0.0, now - _WINDOW
            self._waited += waited
            if self._waited > _SHARE * self._users * (now - self._since):
                self._threads.count = min(self._threads.count + 1, self._most_threads)
                self._waited, self._since = 0.0, now

    def _read(self, numbered: tuple[int, ImageRef]) -> Source:
        number, image = numbered
        stamp = image.stamp()
        self._room.enter(number, stamp.size if stamp else 0)
        return image.read()


class Room:
    """Memory for files. The first ones always have room: those that the others wait for.

    Args:
        most: bytes.
        always: how many of the files that are expected have room, whatever their size.
    """

    def __init__(self, most: int, always: int) -> None:
        self._most = most
        self._always = always
        self._sizes: dict[int, int] = {}  # in their order; 0 of those that have not entered
        self._taken = 0
        self._closed = False
        self._waiting = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def expect(self, number: int) -> None:
        """Another file will enter."""
        with self._lock:
            self._sizes[number] = 0

    def enter(self, number: int, size: int) -> None:
        """Wait for room.

        Raises:
            CancelledError: it was closed.
        """
        with self._lock:
            while not self._may_enter(number, size):
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            if self._closed:
                raise CancelledError
            if number in self._sizes:  # it may have been given up
                self._sizes[number] = size
                self._taken += size

    def leave(self, number: int) -> None:
        """Give back what a file has, and what it might still ask for."""
        with self._lock:
            self._taken -= self._sizes.pop(number)
            if self._waiting:
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def _may_enter(self, number: int, size: int) -> bool:
        return (
            self._closed
            or self._taken + size <= self._most
            or number not in self._sizes
            or number in itertools.islice(self._sizes, self._always)
        )
