"""NumPy's .npy: float32 or float16, C order, one row an image, written as it comes.

Rows begin at a page of the file, so that file systems that can share pages between files do so
when rows are kept, and fc7's begin at pages all.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Sequence

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType

HEADER_TELLS_ROWS = True

_PAGE = 4096


def header(rows: int, kind: RowType) -> bytes:
    """A header of version 1.0, padded with spaces, as numpy.lib.format describes it."""
    out = io.BytesIO()
    npy_format.write_array_header_1_0(
        out, {"descr": kind.little, "fortran_order": False, "shape": (rows, *kind.shape)}
    )
    told = out.getvalue()
    prefix = len(npy_format.magic(1, 0))
    text = told[prefix + 2 :].rstrip()
    length = _PAGE - prefix - 2
    return told[:prefix] + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"


def encode(names: Sequence[str], features: Numbers) -> bytes:
    return features.astype(features.dtype.newbyteorder("<"), copy=False).tobytes()


def prefix(name: str) -> bytes:
    return b""


def locate(data: mmap.mmap | bytes, names: Sequence[str], kind: RowType) -> NDArray[np.int64]:
    size = kind.nbytes
    whole = min(len(names), max(len(data) - _PAGE, 0) // size)
    begin = _PAGE + size * np.arange(whole, dtype=np.int64)
    return np.stack([begin, begin, begin + size], axis=1)


def numbers(data: bytes, kind: RowType) -> Numbers:
    return np.frombuffer(data, kind.little)
