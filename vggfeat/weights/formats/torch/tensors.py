"""Tensors as PyTorch pickles them: a stretch of a storage, with sides and strides.

torch/_utils.py and torch/serialization.py: a tensor is `_rebuild_tensor_v2(storage, offset, size,
stride, ...)`, counted in numbers; a storage is the persistent id `("storage", type, key, location,
numel)`, before PyTorch 1.6 with `(key, offset, numel)` of a part of it, or None, behind that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape
from vggfeat.weights.formats.containers import is_count
from vggfeat.weights.formats.containers.pickles.records import Object, Persistent, Symbol
from vggfeat.weights.tensors import BFLOAT16, Tensor, mapped, size

Bytes = NDArray[np.uint8]

SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2,
    "LongStorage": 8, "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1,
    "BoolStorage": 1, "ComplexDoubleStorage": 16, "ComplexFloatStorage": 8, "QInt32Storage": 4,
    "QInt8Storage": 1, "QUInt8Storage": 1, "UntypedStorage": 1,
}  # fmt: skip
_FLOATS = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": BFLOAT16,
}

_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_WRAPPERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
    "torch.autograd.variable.Variable",
)
_SUBCLASS = "torch._tensor._rebuild_from_type_v2"  # (function, type, its arguments, state)
_MOST_WRAPPERS = 4
_MOST_SIDES = 8


class Tensors:
    """The tensors of one file. Records of the same numbers give the same `Tensor`."""

    def __init__(self, storage: Callable[[str], Bytes], big_endian: bool = False) -> None:
        """`storage` gives the bytes of a storage by its key."""
        self._storage = storage
        self._big_endian = big_endian
        self._made: dict[Any, Tensor] = {}

    def of(self, record: Any) -> Tensor | None:
        """The tensor of floats that a record stands for; None for any other record.

        Raises:
            WeightsError: it reaches beyond its storage, or is damaged in another way.
        """
        for _ in range(_MOST_WRAPPERS):
            if not isinstance(record, Object) or not isinstance(record.maker, Symbol):
                return None
            name, args = str(record.maker), record.args
            if name in _TENSORS:
                return self._view(args)
            if name in _WRAPPERS and isinstance(args, tuple) and args:
                record = args[0]
            elif name == _SUBCLASS and isinstance(args, tuple) and len(args) > 2:
                record = Object(args[0], args[2])
            else:
                return None
        return None

    def _view(self, args: Any) -> Tensor | None:
        if not isinstance(args, tuple) or len(args) < 4 or not isinstance(args[0], Persistent):
            raise WeightsError("damaged: a tensor without a storage")
        kind, key, (begin, numel) = storage_of(args[0])
        if kind not in _FLOATS:
            return None
        offset, shape, strides = args[1], _integers(args[2]), _integers(args[3])
        view = (kind, key, begin, numel, offset, shape, strides)
        if not is_count(offset) or len(shape) != len(strides):
            raise WeightsError("damaged: a tensor whose sides and strides do not fit")
        if view not in self._made:
            dtype = self._in_order(_FLOATS[kind])
            length = dtype.itemsize * numel
            stretch = self._storage(key)[dtype.itemsize * begin :][:length]
            if len(stretch) < length:
                raise WeightsError("damaged: a storage that is cut short")
            self._made[view] = _strided(stretch, dtype, offset, shape, strides)
        return self._made[view]

    def _in_order(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        if self._big_endian and dtype == BFLOAT16:
            raise WeightsError("it holds bfloat16 numbers of a big-endian machine")
        return np.dtype(f">f{dtype.itemsize}") if self._big_endian else dtype


def storage_of(record: Persistent) -> tuple[str, str, tuple[int, int]]:
    """The type of a storage, its key, and where its numbers begin and how many they are.

    Raises:
        WeightsError: the record is none of a storage.
    """
    if not isinstance(record.id, tuple) or len(record.id) < 5:
        raise WeightsError("damaged: a storage that is described in an unknown way")
    _, kind, key, _, numel, *part = record.id
    begin = 0
    if part and isinstance(part[0], tuple) and len(part[0]) == 3:
        _, begin, numel = part[0]
    if not (isinstance(kind, Symbol) and isinstance(key, str)):
        raise WeightsError("damaged: a storage that is described in an unknown way")
    if not (is_count(begin) and is_count(numel)):
        raise WeightsError("damaged: a storage of no length")
    return kind.name, key, (begin, numel)


def _strided(
    data: Bytes, dtype: np.dtype[Any], offset: int, shape: Shape, strides: Shape
) -> Tensor:
    begin = offset * dtype.itemsize
    numel = len(data) // dtype.itemsize
    count = size(shape)
    reach = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if count == 0 or _is_contiguous(shape, strides):
        return mapped(data, begin, shape, dtype)
    if count > numel or reach >= numel:
        raise WeightsError("damaged: a tensor that reaches beyond its storage")
    apart = tuple(stride * dtype.itemsize for stride in strides)

    def read() -> NDArray[Any]:
        flat = data[begin : (reach + 1) * dtype.itemsize].view(dtype)
        return np.lib.stride_tricks.as_strided(flat, shape, apart, subok=True, writeable=False)

    return Tensor(shape, dtype, read)


def _is_contiguous(shape: Shape, strides: Shape) -> bool:
    expected = 1
    for side, stride in zip(reversed(shape), reversed(strides), strict=True):
        if side != 1 and stride != expected:
            return False
        expected *= side
    return True


def _integers(value: Any) -> Shape:
    if isinstance(value, Object) and isinstance(value.args, tuple) and value.args:
        value = value.args[0]  # torch.Size((3, 4)), and TorchScript's build_intlist([3, 4])
    if not isinstance(value, (tuple, list)) or len(value) > _MOST_SIDES:
        raise WeightsError("damaged: a tensor whose sides are no whole numbers")
    if not all(map(is_count, value)):
        raise WeightsError("damaged: a tensor whose sides are no whole numbers")
    return tuple(value)
