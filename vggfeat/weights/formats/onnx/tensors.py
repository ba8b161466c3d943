"""The tensors of ONNX models: a TensorProto's numbers, within the model or in a file beside it.

Field numbers and the names of external data's entries are those of onnx.proto3
(github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import text
from vggfeat.weights.formats.containers.varint import halves
from vggfeat.weights.formats.containers.wire import Bytes, Message
from vggfeat.weights.tensors import BFLOAT16, Tensor, map_file, mapped, size

_DIMS, _TYPE, _FLOATS, _INT32S, _INT64S, _NAME, _RAW, _DOUBLES = 1, 2, 4, 5, 7, 8, 9, 10
_EXTERNAL_DATA, _LOCATION, _EXTERNAL = 13, 14, 1
_KEY, _VALUE = 1, 2

# TensorProto.DataType
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"), 2: np.dtype("u1"), 3: np.dtype("i1"), 4: np.dtype("<u2"),
    5: np.dtype("<i2"), 6: np.dtype("<i4"), 7: np.dtype("<i8"), 9: np.dtype("?"),
    10: np.dtype("<f2"), 11: np.dtype("<f8"), 12: np.dtype("<u4"), 13: np.dtype("<u8"),
    16: BFLOAT16,
}  # fmt: skip
_FLAT_FIELDS = {"<f4": _FLOATS, "<f8": _DOUBLES}
_MOST_INTEGERS = 64  # a list of axes or of sides is shorter


class Tensors:
    """Reads TensorProtos of one model, and maps each file beside it once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Bytes] = {}

    def named(self, message: Message) -> tuple[str, Tensor | None]:
        return message.text(_NAME), self.tensor(message)

    def tensor(self, message: Message) -> Tensor | None:
        """A tensor, nothing of it read; None for types that no layer has.

        Raises:
            WeightsError: its numbers are not where they should be.
        """
        dtype = DTYPES.get(message.number(_TYPE))
        shape = tuple(message.integers(_DIMS))
        if dtype is None:
            return None
        if message.number(_LOCATION) == _EXTERNAL:
            return self._external(message, shape, dtype)
        if _RAW in message.parts:
            return _whole(message.part(_RAW), shape, dtype)
        if dtype.str in _FLAT_FIELDS:
            numbers = message.packed(_FLAT_FIELDS[dtype.str], dtype)
            return _whole(numbers.view(np.uint8), shape, dtype)
        count = size(shape)
        if dtype in (np.dtype("<f2"), BFLOAT16):
            part = message.part(_INT32S)
            _check_length(count <= len(part), shape)
            return Tensor(shape, dtype, lambda: halves(part, count, dtype).reshape(shape))
        return _integers(message, shape, count, dtype)

    def _external(self, message: Message, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        told = {e.text(_KEY): e.text(_VALUE) for e in message.messages(_EXTERNAL_DATA)}
        data = self._file(told.get("location", ""))
        offset, length = (_number(told.get(key, "0")) for key in ("offset", "length"))
        if length not in (0, size(shape) * dtype.itemsize):
            raise WeightsError(
                f"damaged: {length:,} bytes of external data for a tensor {text(shape[:8])}"
            )
        return mapped(data, offset, shape, dtype)

    def _file(self, location: str) -> Bytes:
        if location not in self._files:
            self._files[location] = map_file(_beside(self._folder, location))
        return self._files[location]


def _beside(folder: Path, location: str) -> Path:
    """The file of external data: within the model's folder, wherever links lead.

    The format asks for it (docs/ExternalData.md), and without it a model could make us read
    any file.
    """
    parts = (*PurePosixPath(location).parts, *PureWindowsPath(location).parts)
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
    if not location or absolute or ".." in parts or "\0" in location:
        raise WeightsError(f"its numbers are in {location[:80]!r}, no place below its own folder")
    path = Path(os.path.realpath(folder / location))
    if not path.is_relative_to(os.path.realpath(folder)):
        raise WeightsError(f"its numbers are in {location[:80]!r}, a link out of its own folder")
    if not path.is_file():
        raise WeightsError(f"its numbers are in {location[:80]!r}, which is not there beside it")
    return path


def _number(digits: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", digits):
        raise WeightsError(f"damaged: an offset or length of external data is {digits[:40]!r}")
    return int(digits)


def _whole(data: Bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    _check_length(len(data) == size(shape) * dtype.itemsize, shape)
    return mapped(data, 0, shape, dtype)


def _check_length(fits: bool, shape: tuple[int, ...]) -> None:
    if not fits:
        raise WeightsError(f"damaged: a tensor {text(shape[:8])} with another number of numbers")


def _integers(
    message: Message, shape: tuple[int, ...], count: int, dtype: np.dtype[Any]
) -> Tensor | None:
    if count > _MOST_INTEGERS or dtype.kind not in "iu":
        return None
    field = _INT64S if dtype.itemsize == 8 else _INT32S
    part = message.part(field)
    if len(part) > 10 * _MOST_INTEGERS:
        return None
    values = message.integers(field)
    _check_length(len(values) == count, shape)

    def read() -> NDArray[Any]:
        return np.array(values, np.int64).astype(dtype).reshape(shape)

    return Tensor(shape, dtype, read)
