"""A tensor as a file holds it: its shape and type are known, its numbers not read yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape, text

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = (np.dtype("f2"), np.dtype("f4"), np.dtype("f8"), BFLOAT16)

_MOST_NUMBERS = 1 << 29  # of one tensor: a fc6 twice as wide as VGG16's has 411 million


@dataclass(frozen=True)
class Tensor:
    """A tensor that is read when it is asked for.

    Attributes:
        shape: as the file keeps it.
        dtype: of its numbers in the file.
        read: gives the array, which may be a read-only view of the mapped file.
    """

    shape: Shape
    dtype: np.dtype[Any]
    read: Callable[[], NDArray[Any]]

    @property
    def is_float(self) -> bool:
        return self.dtype.newbyteorder("=") in FLOATS


def of_array(array: NDArray[Any]) -> Tensor:
    """A tensor whose numbers are in memory already."""
    return Tensor(array.shape, array.dtype, lambda: array)


def mapped(data: NDArray[np.uint8], offset: int, shape: Shape, dtype: np.dtype[Any]) -> Tensor:
    """A tensor that lies as it is in a mapped file.

    Args:
        data: the bytes of the file, or of a part of it, usually of a `numpy.memmap`.
        offset: where in `data` its first byte is; no alignment is needed.

    Raises:
        WeightsError: it would reach beyond the data.
    """
    length = size(shape) * dtype.itemsize
    if offset < 0 or offset + length > len(data):
        raise WeightsError(
            f"damaged: a tensor {text(shape)} of {length:,} bytes reaches beyond the end"
        )
    return Tensor(shape, dtype, lambda: data[offset : offset + length].view(dtype).reshape(shape))


def size(shape: Shape) -> int:
    """How many numbers a shape holds; in Python's integers, which do not overflow.

    Raises:
        WeightsError: a negative side, or more numbers than any layer of a VGG16 has.
    """
    count = 1
    for side in shape:
        count *= side
        if side < 0 or count > _MOST_NUMBERS:
            raise WeightsError(f"damaged: a tensor of shape {text(shape[:8])}")
    return count


def map_file(path: Path) -> NDArray[np.uint8]:
    """The bytes of a file, mapped. Raises WeightsError where it is empty, OSError."""
    if path.stat().st_size == 0:
        raise WeightsError("the file is empty")
    return np.memmap(path, np.uint8, "r")
