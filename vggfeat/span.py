"""Blocks whose time is measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def not_computed() -> float:
    """A clock, in seconds, that stands still while this thread computes."""
    return time.perf_counter() - time.thread_time()


class Span:
    """Adds its seconds to one of those spent.

    Written for speed: there are several an image.
    """

    __slots__ = ("_began", "_clock", "_lock", "_on", "_spent")

    def __init__(
        self, on: str, spent: dict[str, float], lock: threading.Lock, clock: Callable[[], float]
    ) -> None:
        self._on = on
        self._spent = spent
        self._lock = lock
        self._clock = clock

    def __enter__(self) -> None:
        self._began = self._clock()

    def __exit__(self, kind: object = None, *error: object) -> None:
        seconds = self._clock() - self._began
        with self._lock:
            self._spent[self._on] += seconds
            self._spent["decoded"] += self._on == "decoding" and kind is None
