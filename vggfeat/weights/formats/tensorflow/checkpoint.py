"""TensorFlow's checkpoints of both versions, read without TensorFlow.

Version 1 is one file, a table (tensorflow/core/util/saved_tensor_slice.proto): the key "" has the
names, shapes and types of all tensors, each other entry the numbers of one slice of one of them.
Version 2 is what `bundle` reads.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights import tensors
from vggfeat.weights.formats.containers.table import Bytes, entries, is_table
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.tensorflow import bundle, slices
from vggfeat.weights.formats.tensorflow.slices import Slice
from vggfeat.weights.formats.tensorflow.variables import Variable
from vggfeat.weights.tensors import Tensor

_NUMBERS = {1: 5, 2: 6}  # of a TensorProto: float_val of DT_FLOAT, double_val of DT_DOUBLE


def read(prefix: Path) -> list[Variable]:
    """The variables of floats in the checkpoint that TensorFlow calls `prefix`.

    Raises:
        WeightsError: a file of it is damaged or missing.
    """
    if is_table(Path(f"{prefix}.index")):
        return bundle.variables(prefix)
    return _version_1(prefix)


def _version_1(path: Path) -> list[Variable]:
    described: dict[str, Message] = {}
    stored: dict[str, list[Message]] = defaultdict(list)
    data = tensors.map_file(path)
    for key, value in entries(data.view(np.ndarray)):  # whose views take a fifth of a memmap's
        entry = Message(value)
        if key == b"":
            described = {m.text(1): m for m in slices.each(entry.message(1), 1)}
        else:
            saved = entry.message(2)
            stored[saved.text(1)].append(saved)
    return [
        Variable(name, _tensor(data, message, stored[name]))
        for name, message in described.items()
        if message.number(3) in slices.FLOATS
    ]


def _tensor(data: Bytes, described: Message, stored: list[Message]) -> Tensor:
    """The tensor of a SavedSliceMeta, from the SavedSlices that hold its numbers."""
    dtype = slices.FLOATS[described.number(3)]
    shape = slices.shape_of(described.message(2))
    if (field := _NUMBERS.get(described.number(3))) is None:
        return Tensor(shape, dtype, _refused)
    parts = []
    for saved in stored:
        part = slices.slice_of(saved.message(2), shape)
        parts.append((part, _numbers(data, saved.message(3), field, part, dtype)))
    return slices.assembled(shape, dtype, parts)


def _refused() -> NDArray[Any]:
    """Numbers of half precision are packed as integers of several lengths; no VGG16 is known so."""
    raise WeightsError("numbers of half precision in a checkpoint of version 1: save it anew")


def _numbers(data: Bytes, proto: Message, field: int, part: Slice, dtype: np.dtype[Any]) -> Tensor:
    """The numbers of a TensorProto, which lie in one stretch of the file."""
    stretches = proto.parts.get(field, [])
    length = tensors.size(part.lengths) * dtype.itemsize
    if len(stretches) > 1 or sum(map(len, stretches)) != length:
        raise WeightsError(slices.CONTRADICTION)
    begin = stretches[0].ctypes.data - data.ctypes.data if stretches else 0
    return tensors.mapped(data, begin, part.lengths, dtype)
