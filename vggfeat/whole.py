"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name of our own beside a path; whatever is left at the end that begins so is removed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
    finally:
        for left in part.parent.glob(f"{glob.escape(part.name)}*"):
            left.unlink(missing_ok=True)


def put(part: Path, path: Path) -> None:
    """Let a finished file take its place, the place of an older one too. Raises OSError."""
    with open(part, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears at the path when the block ends well; a link there is followed.

    A device or a named pipe is written to as it comes: a file must never take its place.

    Raises OSError.
    """
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    with beside(path) as part:
        with open(part, "w+b") as file:
            yield file
        put(part, path)
