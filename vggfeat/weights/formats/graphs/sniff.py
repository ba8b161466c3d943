"""The outermost fields of a protocol buffer, looked at without mapping or walking the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 1 << 10
_LONGEST_KEY = 20  # bytes of a key and the length or number behind it


class Outer(NamedTuple):
    """A field: its number, its wire type, and the first bytes of what it holds."""

    number: int
    kind: int
    head: bytes


def outer_fields(path: Path, head: int = 1 << 10) -> Iterator[Outer]:
    """The first fields, up to the end or to where the file is no protocol buffer any more.

    What is no protocol buffer ends at once or after a few fields, whatever its size.
    """
    length = path.stat().st_size
    with open(path, "rb") as file:
        at = 0
        for _ in range(_MOST_FIELDS):
            file.seek(at)
            begin = file.read(_LONGEST_KEY)
            key, used = _varint(begin, 0)
            if used == 0 or key >> 3 == 0:
                return
            kind = key & 7
            value, after = _varint(begin, used)
            if kind in (_VARINT, _LENGTH) and after == 0:
                return
            if kind == _LENGTH:
                file.seek(at + after)
                yield Outer(key >> 3, kind, file.read(min(value, head)))
                at += after + value
            elif kind == _VARINT:
                yield Outer(key >> 3, kind, begin[used:after])
                at += after
            elif kind in (_FIXED32, _FIXED64):
                yield Outer(key >> 3, kind, b"")
                at += used + (4 if kind == _FIXED32 else 8)
            else:
                return
            if at >= length:
                return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; an end of 0 where it is none."""
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    return 0, 0
