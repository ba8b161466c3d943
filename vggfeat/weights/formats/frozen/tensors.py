"""The tensors of TensorFlow's graphs: a TensorProto's numbers.

Field numbers are those of tensorflow/core/framework/tensor.proto and types.proto. Numbers that
are fewer than the shape asks for are filled up with the last one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import text
from vggfeat.weights.formats.containers.varint import halves
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.graphs.constants import repeated
from vggfeat.weights.tensors import BFLOAT16, Tensor, mapped, of_array, size

_DTYPE, _SHAPE, _CONTENT = 1, 2, 4
_DIM, _SIZE = 2, 1

# types.proto
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 4: np.dtype("u1"),
    5: np.dtype("<i2"), 6: np.dtype("i1"), 9: np.dtype("<i8"), 10: np.dtype("?"),
    14: BFLOAT16, 17: np.dtype("<u2"), 19: np.dtype("<f2"), 22: np.dtype("<u4"),
    23: np.dtype("<u8"),
}  # fmt: skip
_PACKED = {"<f4": 5, "<f8": 6}
_HALVES = 13
_INTEGERS = {"<i4": 7, "<i2": 7, "|i1": 7, "|u1": 7, "<u2": 7, "<i8": 10, "|b1": 11}
_MOST_INTEGERS = 64


def tensor(message: Message) -> Tensor | None:
    """A tensor, nothing of it read; None for types that no layer has.

    Raises:
        WeightsError: its numbers do not fit its shape.
    """
    dtype = DTYPES.get(message.number(_DTYPE))
    if dtype is None:
        return None
    shape = tuple(side for dim in message.message(_SHAPE).messages(_DIM) for side in _side(dim))
    count = size(shape)
    content = message.part(_CONTENT)
    if len(content):
        if len(content) == count * dtype.itemsize:
            return mapped(content, 0, shape, dtype)
        if len(content) % dtype.itemsize or len(content) > count * dtype.itemsize:
            raise _unfit(shape)
        return repeated(content.view(dtype), shape)
    values = _values(message, dtype)
    if values is None:
        return None
    if len(values) > count:
        raise _unfit(shape)
    return of_array(values.reshape(shape)) if len(values) == count else repeated(values, shape)


def _side(dim: Message) -> list[int]:
    return dim.integers(_SIZE)[-1:] or [0]


def _values(message: Message, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    if dtype.str in _PACKED:
        return message.packed(_PACKED[dtype.str], dtype)
    if dtype in (np.dtype("<f2"), BFLOAT16):
        part = np.concatenate([_unpacked(message), *message.parts.get(_HALVES, ())])
        return halves(part, int((part < 0x80).sum()), dtype)
    field = _INTEGERS.get(dtype.str)
    if field is None or len(message.part(field)) > 10 * _MOST_INTEGERS:
        return None
    return np.array(message.integers(field), np.int64).astype(dtype)


def _unpacked(message: Message) -> NDArray[np.uint8]:
    """Numbers of 16 bits that are fields of their own, as they would be in one."""
    parts = [bytes((n & 0x7F | 0x80, n >> 7 & 0x7F | 0x80, n >> 14 & 3))
             for n in message.numbers.get(_HALVES, ())]  # fmt: skip
    return np.frombuffer(b"".join(parts), np.uint8)


def _unfit(shape: tuple[int, ...]) -> WeightsError:
    return WeightsError(f"damaged: a tensor {text(shape[:8])} with another number of numbers")
