"""Tensors that a TensorFlow checkpoint keeps in slices, one for each part of a variable.

A partitioned variable is cut along one axis. The messages that describe shapes and slices are
tensor_shape.proto and tensor_slice.proto of tensorflow/core/framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape, text
from vggfeat.weights import tensors
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.tensors import Tensor

# By their numbers in tensorflow/core/framework/types.proto; weights are of no other type.
FLOATS: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    14: tensors.BFLOAT16,
    19: np.dtype("<f2"),
}
CONTRADICTION = "damaged: the checkpoint contradicts itself"

_MOST_SIDES = 8
_MOST = 1 << 14  # tensors of a checkpoint, slices of a tensor


@dataclass(frozen=True, order=True)
class Slice:
    """A part of a tensor: where it starts on each axis, and how long it is there."""

    starts: Shape
    lengths: Shape


def shape_of(message: Message) -> Shape:
    """Of a TensorShapeProto. Raises WeightsError where no tensor has such a shape."""
    shape = tuple(side.number(1) for side in each(message, 2, _MOST_SIDES))
    tensors.size(shape)
    return shape


def slice_of(message: Message, shape: Shape) -> Slice:
    """Of a TensorSliceProto, where an axis without a length is taken whole.

    Raises:
        WeightsError: it reaches beyond the shape.
    """
    extents = [
        (extent.number(1), extent.number(2) if 2 in extent.numbers else side - extent.number(1))
        for extent, side in zip(each(message, 1, _MOST_SIDES), shape, strict=False)
    ]
    if len(extents) != len(shape) or any(
        not 0 <= start <= start + length <= side
        for (start, length), side in zip(extents, shape, strict=True)
    ):
        raise WeightsError(CONTRADICTION)
    return Slice(tuple(start for start, _ in extents), tuple(length for _, length in extents))


def assembled(shape: Shape, dtype: np.dtype[Any], parts: Sequence[tuple[Slice, Tensor]]) -> Tensor:
    """The whole tensor: one slice as it is, several along one axis put together when it is read.

    Raises:
        WeightsError: the slices are not those of the shape, or are cut along several axes.
    """
    parts = sorted(parts, key=lambda part: part[0])
    if any(part.lengths != tensor.shape for part, tensor in parts) or not parts:
        raise WeightsError(CONTRADICTION)
    if len(parts) == 1 and parts[0][1].shape == shape:
        return parts[0][1]
    cut = [a for a, side in enumerate(shape) if any(p.lengths[a] != side for p, _ in parts)]
    if len(cut) != 1:
        raise WeightsError(f"a variable {text(shape)} is cut along several axes: save it whole")
    axis, end = cut[0], 0
    for part, _ in parts:
        if part.starts[axis] != end:
            raise WeightsError(CONTRADICTION)
        end += part.lengths[axis]
    if end != shape[axis]:
        raise WeightsError(f"a variable {text(shape)} is not whole: parts of it are missing")
    return Tensor(shape, dtype, lambda: np.concatenate([t.read() for _, t in parts], axis))


def each(message: Message, field: int, most: int = _MOST) -> Iterator[Message]:
    """The messages of a field, one after the other. Raises WeightsError where they are many."""
    parts = message.parts.get(field, [])
    if len(parts) > most:
        raise WeightsError("damaged, or no checkpoint of a network: a list that is too long")
    return map(Message, parts)
