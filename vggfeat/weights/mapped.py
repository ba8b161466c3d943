"""Memory-mapped weights, given back when they have been read."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def offset(array: NDArray[Any]) -> int:
    """Where in its file a mapped array begins."""
    mapping = array._mmap  # type: ignore[attr-defined]  # what numpy.memmap and its views hold
    return int(array.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data)


def forget(array: NDArray[Any]) -> None:
    """Let the pages of a mapped array leave this process. They come back when they are read.

    They stay in the system's cache, so that costs a hundredth of what reading the file does.
    Arrays that are not mapped are left alone.
    """
    mapping = getattr(array, "_mmap", None)
    if mapping is None or not hasattr(mapping, "madvise"):
        return
    start = offset(array)
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (start + array.nbytes - first) // mmap.PAGESIZE * mmap.PAGESIZE
    if length > 0:
        mapping.madvise(mmap.MADV_DONTNEED, first, length)
