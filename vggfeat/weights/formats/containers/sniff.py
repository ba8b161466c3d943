"""The outermost fields of a protocol buffer, looked at without mapping or walking the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers import varint
from vggfeat.weights.formats.containers.wire import FIXED, LENGTH, VARINT

_MOST_FIELDS = 1 << 10
_LONGEST_KEY = 20  # bytes of a key and the length or number behind it


class Outer(NamedTuple):
    """A field: its number, its wire type, and the first bytes of what it holds."""

    number: int
    kind: int
    head: bytes


def outer_fields(path: Path, head: int = 1 << 10) -> Iterator[Outer]:
    """The first fields, up to the end or to where the file is no protocol buffer any more.

    What is no protocol buffer ends at once or after a few fields, whatever its size; what is no
    regular file has none.
    """
    if path.is_file():
        with contextlib.suppress(WeightsError):
            yield from _fields(path, head)


def _fields(path: Path, head: int) -> Iterator[Outer]:
    """Raises WeightsError where a key or a length is no number."""
    length = path.stat().st_size
    with open(path, "rb") as file:
        at = 0
        for _ in range(_MOST_FIELDS):
            file.seek(at)
            begin = file.read(_LONGEST_KEY)
            key, used = varint.read(begin, 0)
            number, kind = key >> 3, key & 7
            if number == 0:
                return
            if kind == LENGTH:
                value, after = varint.read(begin, used)
                file.seek(at + after)
                yield Outer(number, kind, file.read(min(value, head)))
                at += after + value
            elif kind == VARINT:
                _, after = varint.read(begin, used)
                yield Outer(number, kind, begin[used:after])
                at += after
            elif kind in FIXED:
                yield Outer(number, kind, b"")
                at += used + FIXED[kind]
            else:
                return
            if at >= length:
                return
