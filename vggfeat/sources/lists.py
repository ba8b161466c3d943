"""Lists of paths, as `find` and `ls` print them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK = 1 << 16


def paths_in(stream: BinaryIO, separator: bytes) -> Iterator[str]:
    """The paths on a stream, each as soon as its separator has come; empty ones are none.

    `separator` is a newline or, for names with newlines in them, NUL (`find -print0`).
    """
    read = getattr(stream, "read1", stream.read)
    rest = b""
    while chunk := read(_CHUNK):
        *whole, rest = (rest + chunk).split(separator)
        for path in whole:
            if path:
                yield os.fsdecode(path)
    if rest:
        yield os.fsdecode(rest)
