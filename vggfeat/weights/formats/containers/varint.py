"""Varints: numbers of seven bits a byte, the lowest first, in protocol buffers and tables.

The last byte of each is the first below 0x80.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError

_BLOCK = 1 << 22  # bytes decoded at once
_LONGEST = 3  # bytes of one of 16 bits


def read(
    data: memoryview | bytes, at: int, wrong: str = "damaged: a number that does not end"
) -> tuple[int, int]:
    """A number of 64 bits, and where it ends.

    Raises:
        WeightsError: `wrong`; the data end before it, or it is longer than any.
    """
    value = shift = 0
    while at < len(data) and shift < 70:
        byte: int = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7
    raise WeightsError(wrong)


def halves(data: NDArray[np.uint8], count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """`count` numbers of two bytes whose bits are kept as packed varints, decoded all at once.

    Raises:
        WeightsError: there are fewer or more, or one has more than 16 bits.
    """
    if not count <= len(data) <= _LONGEST * count:
        raise WeightsError(f"damaged: {len(data):,} bytes cannot hold {count:,} numbers")
    bits = np.empty(count, np.uint16)
    done = begin = 0
    while begin < len(data):
        block = np.asarray(data[begin : begin + _BLOCK])
        ends = np.flatnonzero(block < 0x80)
        if not len(ends) or done + len(ends) > count:
            raise WeightsError(f"damaged: not {count:,} numbers of 16 bits")
        bits[done : done + len(ends)] = _decoded(block[: ends[-1] + 1], ends)
        done += len(ends)
        begin += int(ends[-1]) + 1
    if done != count:
        raise WeightsError(f"damaged: not {count:,} numbers of 16 bits")
    return bits.view(dtype)


def _decoded(block: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.uint32]:
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        raise WeightsError("damaged: a number of more than 16 bits")
    values = np.zeros(len(ends), np.uint32)
    for place in range(_LONGEST):
        there = lengths > place
        low = block[starts[there] + place] & 0x7F
        values[there] |= low.astype(np.uint32) << np.uint32(7 * place)
    if values.max() > 0xFFFF:
        raise WeightsError("damaged: a number of more than 16 bits")
    return values
