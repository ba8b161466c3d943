"""Functions of `os` that go wrong on order, for one folder."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.journal import SECTOR, Journal
from tests.crash.spec import Spec

_OF_DESCRIPTORS = ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "fchmod",
                   "posix_fallocate", "copy_file_range", "sendfile")  # fmt: skip
_SYNCING = ("fsync", "fdatasync")
_OF_PATHS = ("open", "truncate", "replace", "rename", "link", "unlink", "remove", "chmod")
_DESTINATION = {"copy_file_range": 1}  # which argument is written to, where it is not the first
_AMOUNT = {"copy_file_range": 2, "sendfile": 3}  # which argument says how much
HALVED = ("write", "pwrite", *_AMOUNT)  # what can be done by half
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Layer:
    """Counts the calls that change a folder, and lets happen what a specification says.

    What writes into the folder past `os`, by `open`, would not be seen: it is an AssertionError.
    """

    def __init__(self, folder: Path, spec: Spec) -> None:
        self._folder = os.path.realpath(folder)
        self._spec = spec
        self._journal = Journal(spec.journal, folder) if spec.journal else None
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] = []

    def install(self) -> None:
        for name in (*_OF_DESCRIPTORS, *_OF_PATHS):
            if hasattr(os, name):
                real = _unsynced if name in _SYNCING else getattr(os, name)
                setattr(os, name, self._watched(name, real))
        builtins.open = io.open = self._opening(io.open)

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            target = self._target(args[_DESTINATION.get(name, 0)])
            if target is None or (name == "open" and not args[1] & _WRITING):
                return real(*args, **options)
            with self._lock:
                self.calls.append((name, target))
                if self._journal:
                    self._journal.called(len(self.calls), name, target)
                return self._faulty(name, target, real, args, options)

        return call

    def _faulty(
        self,
        name: str,
        target: str,
        real: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        actions = self._spec.actions(len(self.calls))
        if "kill-before" in actions or ("kill-amid" in actions and not _may_be_torn(name, args)):
            _die()
        for code in actions & set(errno.errorcode.values()):
            number = getattr(errno, code)
            raise OSError(number, os.strerror(number), target)
        if actions & {"short", "kill-amid"}:
            args = halved(name, args) or args
        result = self._recorded(name, target, real, args, options)
        if actions & {"kill-amid", "kill-after"}:
            _die()
        return result

    def _recorded(
        self,
        name: str,
        target: str,
        real: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        if not (journal := self._journal):
            return real(*args, **options)
        was_there = os.path.lexists(os.path.join(self._folder, target))
        goes = {"unlink": target, "remove": target}.get(name)
        if name in ("replace", "rename"):
            goes = os.path.basename(args[1])
        if goes is not None:
            journal.about_to_go(goes)
        result = real(*args, **options)
        if name == "open" and not was_there:
            journal.created(target)
        elif name in _SYNCING:
            journal.synced(target, os.fstat(args[0]).st_ino)
        elif name in ("replace", "rename", "link"):
            journal.named(target, os.path.basename(args[1]), both=name == "link")
        elif name in ("unlink", "remove"):
            journal.named(target, None)
        return result

    def _target(self, place: Any) -> str | None:
        """The name in the folder that a path or descriptor stands for, `.` for the folder."""
        if isinstance(place, int):
            try:
                path = os.readlink(f"/proc/self/fd/{place}").removesuffix(" (deleted)")
            except OSError:
                return None
        else:
            path = os.path.abspath(os.fsdecode(place))
            path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if path == self._folder:
            return "."
        return os.path.basename(path) if os.path.dirname(path) == self._folder else None

    def _opening(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if set(mode) & set("wax+") and not isinstance(file, int) and self._target(file):
                raise AssertionError(f"{file}: is written by open, where no fault can be injected")
            return real(file, mode, *args, **options)

        return opened


def _unsynced(fd: int) -> None:
    """Instead of a wait for the disk: what a power cut leaves is told by the journal alone."""
    os.fstat(fd)  # raises OSError for what is no descriptor, as the real ones do


def halved(name: str, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Arguments for half of a write; None for calls that have no half."""
    if name in ("write", "pwrite"):
        data = memoryview(args[1]).cast("B")
        return (args[0], data[: -(-len(data) // 2)], *args[2:])
    if (at := _AMOUNT.get(name)) is not None:
        return (*args[:at], -(-args[at] // 2), *args[at + 1 :])
    return None


def _may_be_torn(name: str, args: tuple[Any, ...]) -> bool:
    # What is put over bytes of one sector is written at once, by the system as by the disk.
    return name in HALVED and not (name == "pwrite" and len(args[1]) <= SECTOR)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # until it has come to all threads


def report(calls: list[tuple[str, str]]) -> None:
    for number, (name, target) in enumerate(calls, start=1):
        print(f"{number:5} {name} {target}", file=sys.stderr)
