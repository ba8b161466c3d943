"""Cosine similarity: quickly in float32, with a bound on its error, and exactly in float64.

Matrix products of unit rows in float32 sort out what cannot matter; what is left is computed again
in float64, pair by pair and always in the same order. So answers are those of float64, equal rows
have similarity 1 to the bit, and nothing depends on the size of blocks. A row of zeros has no
direction; its similarity to all rows is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = "NDArray[np.floating[Any]]"  # [n,d]
Numbers: TypeAlias = NDArray[np.float64]
RowNumbers: TypeAlias = NDArray[np.int64]

BLOCK = 1 << 26  # bytes of float32 that a block of rows takes


def flat(vectors: Rows) -> Rows:
    """Maps `[n,h,w,c]` as rows `[n,h*w*c]`, in the order height, width, channel; still mapped."""
    return vectors.reshape(len(vectors), -1) if len(vectors) else vectors.reshape(0, 0)


def margin(width: int) -> float:
    """How far `units(a) @ units(b).T` is from the cosines at the most, rows of this width.

    A sum of `d` products is off by `d` roundings of 2^-24 relative to the sum of their absolute
    values, whatever its order (N. J. Higham, "Accuracy and Stability of Numerical Algorithms",
    section 3.1); of unit rows that is at most 1. Rounding the rows themselves adds two more.
    """
    roundings = (width + 4) * 2.0**-24
    return 1.01 * roundings / (1 - roundings) if roundings < 0.5 else 2.0


def blocks(rows: int, width: int, limit: int = BLOCK) -> Iterator[slice]:
    """Consecutive blocks of rows that take at most `limit` bytes each, but one row at the least."""
    step = max(limit // (4 * max(width, 1)), 1)
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def units(block: Rows) -> NDArray[np.float32]:
    """Rows scaled to length 1: float32 `[n,d]`. Rows of zeros stay so."""
    wide = np.asarray(block, np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide, dtype=np.float64))
    norms[norms == 0] = 1
    scaled = np.empty(wide.shape, np.float32)
    np.divide(wide, norms[:, None], out=scaled, casting="same_kind")
    return scaled


def cosines(
    vectors: Rows, some: RowNumbers, others: Rows, with_: RowNumbers, block: int = BLOCK
) -> Numbers:
    """Cosines of pairs: of row `some[i]` of one array and row `with_[i]` of another.

    Returns:
        float64 `[len(some)]`, each in -1..1, and 0 where a row is zero.
    """
    found = np.empty(len(some))
    # Six arrays of float64 live at a time.
    for part in blocks(len(some), 12 * vectors.shape[1], block):
        a = vectors[some[part]].astype(np.float64)
        b = others[with_[part]].astype(np.float64)
        product = (a * b).sum(axis=1)
        # sqrt(x * x) is x to the bit, so that equal rows get 1.
        lengths = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        found[part] = np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    return found.clip(-1, 1)
