"""CSV: the path, then the features as the shortest decimals that read back to the same float32.

A quoted path may hold anything, as RFC 4180 has it; its bytes are the file system's.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType

HEADER_TELLS_ROWS = False
GROWS = False


def header(rows: int, kind: RowType) -> bytes:
    columns = ",".join(f"f{number}" for number in range(math.prod(kind.shape)))
    return f"path,{columns}\n".encode()


def encode(names: Sequence[str], features: Numbers) -> bytes:
    flat = np.ascontiguousarray(features.reshape(len(features), -1))
    rows = []
    for name, row in zip(names, flat, strict=True):
        numbers = orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
        rows.append(b"%b%b\n" % (prefix(name), numbers))
    return b"".join(rows)


def prefix(name: str) -> bytes:
    return field(name) + b","


def locate(data: mmap.mmap | bytes, names: Sequence[str], kind: RowType) -> NDArray[np.int64]:
    found: list[tuple[int, int, int]] = []
    begin = len(header(0, kind))
    for name in names:
        start = begin + len(prefix(name))
        end = data.find(b"\n", start) + 1
        if end == 0 or data[begin:start] != prefix(name):
            break
        found.append((begin, start, end))
        begin = end
    return np.array(found, np.int64).reshape(-1, 3)


def numbers(data: bytes, kind: RowType) -> Numbers:
    return np.array(orjson.loads(b"[%b]" % data), np.float64).astype(kind.dtype)


def field(text: str) -> bytes:
    """One field, quoted where it must be."""
    data = os.fsencode(text)
    if any(special in data for special in b',"\r\n') or data != data.strip():
        return b'"' + data.replace(b'"', b'""') + b'"'
    return data
