"""Images that come with their bytes, of which only so many wait in memory to be read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from vggfeat.outcome import Stamp
from vggfeat.sources.base import Source

MOST_BYTES = 1 << 26

# Who keeps images without reading them would wait for ever: after so long, one more has room.
_PATIENCE = 30.0  # seconds


class Held:
    """An image with its bytes. It can be pickled; then it takes no room."""

    __slots__ = ("_data", "_leave", "_stamp", "name")

    def __init__(
        self, name: str, data: bytes, stamp: Stamp | None, leave: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self._data = data
        self._stamp = stamp
        self._leave = leave

    def stamp(self) -> Stamp | None:
        return self._stamp

    def read(self) -> Source:
        self._done()
        return Source(self._data, self._stamp or Stamp(len(self._data), 0))

    def _done(self) -> None:
        leave, self._leave = self._leave, None
        if leave:
            leave()

    def __reduce__(self) -> tuple[Any, ...]:
        self._done()
        return Held, (self.name, self._data, self._stamp)

    def __del__(self) -> None:  # of images that nobody wants, as their rows are there
        self._done()


class Waiting:
    """Memory for images between those who bring and those who read them.

    An image that is larger than all of it has room when nothing else waits.

    Args:
        most: bytes.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition(threading.RLock())

    def room_for(self, size: int) -> Callable[[], None]:
        """Wait for room. What comes back gives it free again, and is to be called once."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._taken or self._taken + size <= self._most, _PATIENCE
            )
            self._taken += size

        def leave() -> None:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()

        return leave


waiting = Waiting()  # of the whole process
