"""Files within which numbers are kept, whatever they mean.

Zip, HDF5, protocol buffers, LevelDB's tables, pickles, and arrays as NumPy keeps them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def head(path: Path, length: int) -> bytes:
    """The first bytes of a regular file; empty where there is none."""
    if not path.is_file():
        return b""
    with open(path, "rb") as file:
        return file.read(length)


def is_count(value: Any) -> bool:
    """Whether it is a whole number that may be a length or a place; a bool is none."""
    return type(value) is int and 0 <= value < 1 << 62
