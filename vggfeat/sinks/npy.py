"""NumPy's .npy: float32, C order, one row an image, written as it comes.

Rows begin at a page of the file, so that file systems that can share pages between files do so
when rows are kept, and fc7's begin at pages all.
"""

from __future__ import annotations

import io
import math
import mmap
from collections.abc import Sequence

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

HEADER_TELLS_ROWS = True

_PAGE = 4096
_FLOAT = 4  # bytes


def header(rows: int, shape: tuple[int, ...]) -> bytes:
    """A header of version 1.0, padded with spaces, as numpy.lib.format describes it."""
    out = io.BytesIO()
    npy_format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": (rows, *shape)}
    )
    told = out.getvalue()
    prefix = len(npy_format.magic(1, 0))
    text = told[prefix + 2 :].rstrip()
    length = _PAGE - prefix - 2
    return told[:prefix] + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"


def encode(names: Sequence[str], features: NDArray[np.float32]) -> bytes:
    return features.astype("<f4", copy=False).tobytes()


def prefix(name: str) -> bytes:
    return b""


def locate(
    data: mmap.mmap | bytes, names: Sequence[str], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    size = _FLOAT * math.prod(shape)
    whole = min(len(names), max(len(data) - _PAGE, 0) // size)
    begin = _PAGE + size * np.arange(whole, dtype=np.int64)
    return np.stack([begin, begin, begin + size], axis=1)


def numbers(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4")
