"""Chunked HDF5 datasets, decoded without the HDF5 library.

A chunk is a block of the array that went through a row of filters when it was written (HDF5 File
Format Specification 3.0, III.C and IV.A.2.l): shuffle puts the first bytes of all numbers first,
then the second ones; deflate is zlib's; fletcher32 appends a checksum, which is passed over.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape, text
from vggfeat.weights.tensors import Tensor, size

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3

_MOST_SHRUNK = 100  # trained weights shrink by a tenth; what shrinks more is a bomb
_SMALL = 1 << 20


class Chunk(NamedTuple):
    """Where a block of the array is, and its bytes in the file.

    Attributes:
        place: the indices of its first number.
        left_out: by bit, the filters that it did not go through.
        at: offset of its first byte.
        length: in bytes, as it is stored.
    """

    place: Shape
    left_out: int
    at: int
    length: int


def is_bomb(unpacked: int, packed: int) -> bool:
    """Whether so few bytes cannot be so many bytes of weights."""
    return unpacked > _SMALL and unpacked > _MOST_SHRUNK * packed


def chunked(
    data: NDArray[np.uint8],
    shape: Shape,
    dtype: np.dtype[Any],
    sides: Shape,
    filters: Sequence[int],
    chunks: Sequence[Chunk],
) -> Tensor:
    """A dataset that is kept in chunks of one shape, `sides`.

    Raises:
        WeightsError: a chunk is missing, twice there, or beyond the data; a filter that is not
            among the three above; or far more numbers than the file has bytes for.
    """
    unknown = set(filters) - {_DEFLATE, _SHUFFLE, _FLETCHER32}
    if unknown:
        raise WeightsError(
            f"it is compressed with filter {min(unknown)} of HDF5; only gzip can be read: convert "
            "it with h5repack -f GZIP=1"
        )
    whole = size(shape) * dtype.itemsize
    one = size(sides) * dtype.itemsize
    if len(sides) != len(shape) or min(sides, default=0) < 1 or one > 2 * whole + _SMALL:
        raise WeightsError(f"damaged: a tensor {text(shape)} in chunks of {text(sides)}")
    stored = sum(chunk.length for chunk in chunks)
    expected = math.prod(-(-side // step) for side, step in zip(shape, sides, strict=True))
    if len(chunks) != expected or {chunk.place for chunk in chunks} != _places(shape, sides):
        raise WeightsError(f"damaged: parts of a tensor {text(shape)} are not in the file")
    if is_bomb(max(whole, one), stored):
        raise WeightsError(
            f"damaged: a tensor {text(shape)} of {whole:,} bytes in only {stored:,} bytes"
        )
    if stored > len(data) or any(c.at < 0 or c.at + c.length > len(data) for c in chunks):
        raise WeightsError(f"damaged: a tensor {text(shape)} reaches beyond the end")

    def read() -> NDArray[Any]:
        array = np.empty(shape, dtype)
        for chunk in chunks:
            block = _decoded(data[chunk.at : chunk.at + chunk.length], chunk, filters, dtype, one)
            target = array[tuple(slice(b, b + n) for b, n in zip(chunk.place, sides, strict=True))]
            inside = tuple(slice(0, n) for n in target.shape)
            target[...] = block.view(dtype).reshape(sides)[inside]
        return array

    return Tensor(shape, dtype, read)


def _places(shape: Shape, sides: Shape) -> set[Shape]:
    """The first indices of all chunks that an array has."""
    steps = [range(0, side, step) for side, step in zip(shape, sides, strict=True)]
    return set(itertools.product(*steps))


def _decoded(
    stored: NDArray[np.uint8],
    chunk: Chunk,
    filters: Sequence[int],
    dtype: np.dtype[Any],
    length: int,
) -> NDArray[np.uint8]:
    """Undo the filters, the last first. Never makes more than `length` bytes."""
    for number, kind in reversed(list(enumerate(filters))):
        if chunk.left_out >> number & 1:
            continue
        if kind == _FLETCHER32:
            stored = stored[:-4]
        elif kind == _SHUFFLE:
            stored = _unshuffled(stored, dtype.itemsize)
        else:
            stored = _inflated(stored, length + 4)
    if len(stored) != length:
        raise WeightsError(f"damaged: a chunk of {len(stored):,} bytes, expected {length:,}")
    return np.ascontiguousarray(stored)


def _inflated(stored: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    try:
        return np.frombuffer(zlib.decompressobj().decompress(stored.data, most), np.uint8)
    except zlib.error as error:
        raise WeightsError(f"damaged: a compressed chunk ({error})") from None


def _unshuffled(stored: NDArray[np.uint8], itemsize: int) -> NDArray[np.uint8]:
    count = len(stored) // itemsize
    planes = stored[: count * itemsize].reshape(itemsize, count)
    return np.concatenate([planes.T.reshape(-1), stored[count * itemsize :]])
