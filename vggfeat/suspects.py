"""Which images were being decoded when a process died: one of them may have killed it."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_SLOT = 4096  # bytes: no path that can be opened is longer, with the NUL at its end
_MOST_SLOTS = 4096
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class Suspects:
    """`.feats.npy.decoding`: a file that stays when the process ends without an orderly end.

    It is made of slots, each empty or the name of an image and a NUL. Names that are there when
    it is opened keep their slots, so that a second death does not make them forgotten; the other
    slots are taken by the images that are being decoded. It is a help and no more: where the file
    cannot be read or written, nothing is suspected and nothing fails.

    Args:
        path: the file; None to record nothing. Nobody else that lives may be using it.

    Attributes:
        names: of the images that may have killed a process: to be decoded apart from this one.
    """

    def __init__(self, path: Path | None) -> None:
        self.names: frozenset[str] = frozenset()
        self._path = path
        self._lock = threading.Lock()
        self._fd = -1
        if path is not None and hasattr(os, "pwrite"):
            with contextlib.suppress(OSError):
                self._open(path)

    def _open(self, path: Path) -> None:
        fd = os.open(path, _FLAGS, 0o666)
        try:
            content = os.pread(fd, _SLOT * _MOST_SLOTS, 0)
        except OSError:
            os.close(fd)
            raise
        slots = [content[at : at + _SLOT] for at in range(0, len(content), _SLOT)]
        names = [slot.partition(b"\0")[0] for slot in slots]
        self.names = frozenset(os.fsdecode(name) for name in names if name)
        self._free = [slot for slot, name in enumerate(names) if not name]
        self._new = itertools.count(len(slots))
        self._fd = fd

    @contextlib.contextmanager
    def decoding(self, name: str) -> Iterator[None]:
        """Have an image suspected if the process dies within the block. For any thread."""
        if self._fd < 0:
            yield
            return
        try:
            slot = self._free.pop()
        except IndexError:
            slot = next(self._new)
        self._write(slot, _encoded(name))
        try:
            yield
        finally:
            self._write(slot, b"")
            self._free.append(slot)

    def close(self, *, decided: bool) -> None:
        """Remove the file: the process has not died. Blocks that have not ended do no harm.

        Args:
            decided: whether all images have been gone through. If not, those stay suspected that
                were so before.
        """
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd >= 0 and self._path is not None:
            if decided or not self.names:
                with contextlib.suppress(OSError):
                    os.unlink(self._path)
            os.close(fd)

    def _write(self, slot: int, name: bytes) -> None:
        # The lock is for close(): another file may get the number of a file that was closed.
        with self._lock, contextlib.suppress(OSError):
            if self._fd >= 0:
                os.pwrite(self._fd, name + b"\0", slot * _SLOT)


def _encoded(name: str) -> bytes:
    try:
        return os.fsencode(name)[: _SLOT - 1]
    except ValueError:  # no file has such a name
        return b""
