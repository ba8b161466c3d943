"""Arrays as NumPy keeps them: behind the header of a `.npy`, and in pickles.

numpy/lib/format.py describes the header. In pickles of either Python an array is the call
`_reconstruct(ndarray, (0,), b"b")` with the state `(version, shape, dtype, fortran_order, data)`,
from protocol 5 on `_frombuffer(data, dtype, shape, order)`; a dtype is the call `dtype("f4", 0, 1)`
with the state `(version, byte order, ...)`; protocols before 3 keep bytes as text, encoded again by
`_codecs.encode(text, "latin1")`.
"""

from __future__ import annotations

import codecs
import io
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape
from vggfeat.weights.formats.containers import is_count
from vggfeat.weights.formats.containers.pickles.records import LongText, Object, Symbol
from vggfeat.weights.tensors import Tensor, mapped, size

MAGIC = npy.MAGIC_PREFIX
PREFIX = 4096  # bytes of a file that are enough for the header
_LONGEST_HEADER = 1024
_MOST_SIDES = 8
_CHUNK = 1 << 20

_FLOATS = ("f2", "f4", "f8")
Bytes = NDArray[np.uint8]


class Header(NamedTuple):
    shape: Shape
    fortran_order: bool
    dtype: np.dtype[Any]
    length: int


def header(data: bytes) -> Header:
    """The header of a `.npy`, of its first `PREFIX` bytes. Raises WeightsError."""
    stream = io.BytesIO(data[:PREFIX])
    try:
        version = npy.read_magic(stream)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        with warnings.catch_warnings():  # that Python 2 wrote it
            warnings.simplefilter("ignore")
            shape, order, dtype = readers[version](stream, max_header_size=_LONGEST_HEADER)
    except Exception:  # whatever NumPy's parser stumbles over
        raise WeightsError("damaged: it holds an array without a header that is known") from None
    if len(shape) > _MOST_SIDES or not all(map(is_count, shape)):
        raise WeightsError("damaged: it holds an array of a wrong shape")
    return Header(shape, bool(order), dtype, stream.tell())


def in_order(flat: Tensor, fortran_order: bool) -> Tensor:
    """An array in Fortran's order, of one whose sides are reversed."""
    if not fortran_order:
        return flat
    return Tensor(flat.shape[::-1], flat.dtype, lambda: flat.read().T)


def tensor_of(record: Any) -> Tensor | None:
    """The array of floats that a record of a pickle stands for; None for any other record.

    Raises:
        WeightsError: it has not as many numbers as its shape.
    """
    parts = _parts(record)
    if parts is None:
        return None
    shape, kind, fortran_order, content = parts
    dtype = _dtype(kind)
    if dtype is None:
        return None
    if not isinstance(shape, tuple) or not all(map(is_count, shape)):
        raise WeightsError("damaged: an array of a wrong shape")
    stored = shape[::-1] if fortran_order else shape
    text = _text_of(content)
    if text is not None:
        return in_order(Tensor(stored, dtype, lambda: _decoded(text, stored, dtype)), fortran_order)
    data = _bytes_of(content)
    if data is None or len(data) != size(shape) * dtype.itemsize:
        raise WeightsError("damaged: an array that has not as many numbers as its shape")
    return in_order(mapped(data, 0, stored, dtype), fortran_order)


def objects_of(record: Any) -> list[Any]:
    """What an array of Python objects holds; empty for any other record."""
    parts = _parts(record)
    return parts[3] if parts and isinstance(parts[3], list) else []


def _parts(record: Any) -> tuple[Any, Any, bool, Any] | None:
    """Shape, dtype, whether in Fortran's order, and content of an array."""
    if not isinstance(record, Object) or not isinstance(record.maker, Symbol):
        return None
    module, name = record.maker.module, record.maker.name
    if module.partition(".")[0] != "numpy":
        return None
    state, args = record.state, record.args
    if name == "_reconstruct" and isinstance(state, tuple) and len(state) == 5:
        return state[1], state[2], state[3] is True or state[3] == 1, state[4]
    if name == "_frombuffer" and isinstance(args, tuple) and len(args) == 4:
        return args[2], args[1], args[3] == "F", args[0]
    return None


def _dtype(record: Any) -> np.dtype[Any] | None:
    if not isinstance(record, Object) or record.maker != Symbol("numpy", "dtype"):
        return None
    name = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if not isinstance(name, str) or name not in _FLOATS:
        return None
    order = record.state[1] if isinstance(record.state, tuple) and len(record.state) > 1 else "<"
    return np.dtype(f"{'>' if order == '>' else '<'}{name}")


def _bytes_of(content: Any) -> Bytes | None:
    if isinstance(content, Object) and content.maker == Symbol("_codecs", "encode"):
        content = content.args[0] if isinstance(content.args, tuple) and content.args else None
    if isinstance(content, str):
        content = content.encode("latin1")
    if isinstance(content, bytes):
        return np.frombuffer(content, np.uint8)
    return content if isinstance(content, np.ndarray) else None


def _text_of(content: Any) -> LongText | None:
    if isinstance(content, Object) and isinstance(content.args, tuple) and content.args:
        content = content.args[0]
    return content if isinstance(content, LongText) else None


def _decoded(text: LongText, shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Bytes that were kept as text: UTF-8 of one character a byte."""
    target = np.empty(size(shape) * dtype.itemsize, np.uint8)
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    for begin in range(0, len(text.utf8), _CHUNK):
        piece = text.utf8[begin : begin + _CHUNK].tobytes()
        part = decoder.decode(piece, begin + _CHUNK >= len(text.utf8)).encode("latin1")
        if done + len(part) > len(target):
            break
        target[done : done + len(part)] = np.frombuffer(part, np.uint8)
        done += len(part)
    else:
        if done == len(target):
            return target.view(dtype).reshape(shape)
    raise WeightsError("damaged: an array that has not as many numbers as its shape")
