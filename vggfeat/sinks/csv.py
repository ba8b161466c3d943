"""CSV: the path, then the features as the shortest decimals that read back to the same float32.

A quoted path may hold anything, as RFC 4180 has it; its bytes are the file system's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

HEADER_TELLS_ROWS = False


def header(rows: int, shape: tuple[int, ...]) -> bytes:
    columns = ",".join(f"f{number}" for number in range(math.prod(shape)))
    return f"path,{columns}\n".encode()


def encode(names: Sequence[str], features: NDArray[np.float32]) -> bytes:
    flat = np.ascontiguousarray(features.reshape(len(features), -1))
    rows = []
    for name, row in zip(names, flat, strict=True):
        numbers = orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
        rows.append(b"%b,%b\n" % (field(name), numbers))
    return b"".join(rows)


def field(text: str) -> bytes:
    """One field, quoted where it must be."""
    data = os.fsencode(text)
    if any(special in data for special in b',"\r\n') or data != data.strip():
        return b'"' + data.replace(b'"', b'""') + b'"'
    return data
