"""safetensors: a tensor of the layer's name, and in the metadata what it was made by.

The header is JSON that may end in spaces, so that it can be one page and rows follow as in .npy.
Readers refuse bytes behind the rows that it tells.
"""

from __future__ import annotations

import json
from typing import BinaryIO

import numpy as np

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType
from vggfeat.sinks.npy import PAGE, encode, locate, mapped, numbers, prefix

__all__ = ["encode", "header", "load", "locate", "numbers", "prefix"]

HEADER_TELLS_ROWS = True
GROWS = False

_DTYPES = {"float32": "F32", "float16": "F16"}
_LENGTH = 8  # bytes that tell how long the JSON is


def header(rows: int, kind: RowType) -> bytes:
    tensor = {
        "dtype": _DTYPES[kind.dtype],
        "shape": [rows, *kind.shape],
        "data_offsets": [0, rows * kind.nbytes],
    }
    told = json.dumps({"__metadata__": {"vggfeat": kind.made}, kind.name: tensor}).encode()
    length = PAGE - _LENGTH
    return length.to_bytes(_LENGTH, "little") + told.ljust(length)


def load(file: BinaryIO, kind: RowType) -> Numbers:
    begin = file.read(PAGE)
    if begin[:_LENGTH] != (PAGE - _LENGTH).to_bytes(_LENGTH, "little"):
        raise ValueError("its header is not vggfeat's")
    told = json.loads(begin[_LENGTH:])
    try:
        shape = tuple(map(int, told[kind.name]["shape"]))
        dtypes = {short: name for name, short in _DTYPES.items()}
        dtype = np.dtype(dtypes[told[kind.name]["dtype"]]).newbyteorder("<")
    except (KeyError, TypeError) as error:
        raise ValueError(f"it has no {kind.name} as vggfeat writes it") from error
    return mapped(file, PAGE, shape, dtype, kind)
