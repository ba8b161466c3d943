"""NumPy's .npy: float32 or float16, C order, one row an image, written as it comes.

Rows begin at a page of the file, so that file systems that can share pages between files do so
when rows are kept, and fc7's begin at pages all.
"""

from __future__ import annotations

import ast
import io
import mmap
from collections.abc import Sequence
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType

HEADER_TELLS_ROWS = True
GROWS = True

PAGE = 4096


def header(rows: int, kind: RowType) -> bytes:
    """A header of version 1.0, padded with spaces, as numpy.lib.format describes it."""
    out = io.BytesIO()
    npy_format.write_array_header_1_0(
        out, {"descr": kind.little, "fortran_order": False, "shape": (rows, *kind.shape)}
    )
    told = out.getvalue()
    prefix = len(npy_format.magic(1, 0))
    text = told[prefix + 2 :].rstrip()
    length = PAGE - prefix - 2
    return told[:prefix] + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"


def encode(names: Sequence[str], features: Numbers) -> bytes:
    return features.astype(features.dtype.newbyteorder("<"), copy=False).tobytes()


def prefix(name: str) -> bytes:
    return b""


def locate(data: mmap.mmap | bytes, names: Sequence[str], kind: RowType) -> NDArray[np.int64]:
    size = kind.nbytes
    whole = min(len(names), max(len(data) - PAGE, 0) // size)
    begin = PAGE + size * np.arange(whole, dtype=np.int64)
    return np.stack([begin, begin, begin + size], axis=1)


def numbers(data: bytes, kind: RowType) -> Numbers:
    return np.frombuffer(data, kind.little)


def load(file: BinaryIO, kind: RowType) -> Numbers:
    # Not numpy.load, which opens the file twice: the second may be another one already.
    shape, dtype = read_header(file)
    return mapped(file, file.tell(), shape, dtype, kind)


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype, after which the file is at its numbers. Raises ValueError."""
    version = npy_format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of its header is not vggfeat's")
    length = int.from_bytes(file.read(2), "little")
    try:  # NumPy's own reader takes a second for a damaged one of a page
        told = ast.literal_eval(file.read(length).decode("ascii"))
        return tuple(map(int, told["shape"])), np.dtype(told["descr"])
    except (ValueError, SyntaxError, TypeError, KeyError) as error:
        raise ValueError("its header is damaged") from error


def mapped(
    file: BinaryIO, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any], kind: RowType
) -> Numbers:
    """Rows that stand one after the other in a file, by memory map.

    Raises:
        ValueError: they are of another kind, or not all there.
    """
    if dtype != np.dtype(kind.little):
        raise ValueError(f"it holds {dtype}")
    if shape[1:] != kind.shape:
        raise ValueError(f"it holds rows of the shape {shape[1:]}")
    if not shape[0]:
        return np.empty(shape, dtype)
    return np.memmap(file, dtype, "r", begin, shape)
