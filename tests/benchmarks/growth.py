"""How a file of vectors grows while a program writes it, seen from outside."""

from __future__ import annotations

import threading
import time
from pathlib import Path

_POLL = 0.005  # seconds, until there are vectors
_POLL_LATER = 0.05
# What NumPy's .npy format takes for a matrix of two dimensions, padded for growth.
_NPY_HEADER = 128

Seen = tuple[float, int]  # when, on the monotonic clock, and the bytes


class Watch:
    """Looks, in a thread, when a file grows past its header, and how it goes on."""

    def __init__(self, final: Path) -> None:
        self._places = (final, final.with_name(final.name + ".part"))
        self._seen: list[Seen] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> list[Seen]:
        """Each time that it was larger; nothing where all passed between two looks."""
        self._ended.set()
        self._thread.join()
        return self._seen

    def _look(self) -> None:
        before = _NPY_HEADER
        while not self._ended.wait(_POLL_LATER if self._seen else _POLL):
            size = max(map(_size, self._places))
            if size > before:
                self._seen.append((time.monotonic(), size))
                before = size


def in_second_half(seen: list[Seen]) -> float | None:
    """Bytes/s from half of the file to its end: nothing that was ready beforehand counts.

    None where that was not seen.
    """
    if not seen:
        return None
    end, size = seen[-1]
    begin, half = next((when, bytes_) for when, bytes_ in seen if bytes_ >= size / 2)
    return (size - half) / (end - begin) if end > begin else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
