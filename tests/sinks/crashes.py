"""Ends of a process between two steps that change files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from vggfeat.sinks.rows import Rows

STEPS: list[tuple[Any, str]] = [
    (os, "write"), (os, "pwrite"), (os, "ftruncate"), (os, "truncate"), (os, "fsync"),
    (os, "replace"), (os, "copy_file_range"), (Path, "unlink"), (Rows, "taken"),
]  # fmt: skip


class Crash(BaseException):
    """Nothing of what follows reaches the disk."""


@contextmanager
def crashing(step: int) -> Iterator[None]:
    """Crash before the step of that number, and before all that would follow it."""
    left = step

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            return real(*args, **options)

        return call

    with ExitStack() as patched:
        for owner, name in STEPS:
            real = getattr(owner, name, None)
            if real is not None:
                patched.enter_context(mock.patch.object(owner, name, counted(real)))
        yield
