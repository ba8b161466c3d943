"""The rows of features that are nearest to some vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vggfeat.search.cosine import (
    BLOCK,
    Numbers,
    RowNumbers,
    Rows,
    blocks,
    cosines,
    flat,
    margin,
    units,
)

_NONE = np.empty(0, np.int64)


class Nearest(NamedTuple):
    """Of one vector: the nearest rows, the most similar first, equal ones in their order.

    Attributes:
        rows: int64 `[k]`, or less where there are less rows.
        similarities: float64 `[k]`, cosines.
    """

    rows: RowNumbers
    similarities: Numbers


def nearest(
    vectors: Rows,
    queries: Rows,
    k: int,
    left_out: Sequence[RowNumbers] | None = None,
    block: int = BLOCK,
) -> list[Nearest]:
    """For each query the `k` rows of highest cosine, exactly as float64 has them.

    The vectors are read once, a block at a time.

    Args:
        vectors: float16 or float32 `[n, ...]`, finite; may be memory-mapped.
        queries: float16 or float32 `[q, ...]`, of the same shape each.
        k: how many, at least 1.
        left_out: for each query the rows that do not count.
        block: bytes that a block of rows takes in float32.
    """
    vectors, queries = flat(vectors), flat(queries)
    best = [Nearest(_NONE, np.empty(0)) for _ in queries]
    directions = units(queries)
    error = margin(vectors.shape[1])
    for part in blocks(len(vectors), vectors.shape[1], block):
        rough = directions @ units(vectors[part]).T
        for number, row in enumerate(rough):
            if left_out is not None:
                inside = left_out[number] - part.start
                row[inside[(inside >= 0) & (inside < len(row))]] = -np.inf
            found = part.start + _candidates(row, best[number], k, error)
            exact = cosines(vectors, found, queries, np.full(len(found), number), block)
            best[number] = _merged(best[number], Nearest(found, exact), k)
    return best


def _candidates(rough: Rows, best: Nearest, k: int, error: float) -> RowNumbers:
    """The columns that may be among the `k` nearest, by similarities that are off by `error`."""
    least = -2.0  # below all cosines, but above what is left out
    if len(best.rows) == k:
        least = best.similarities[-1] - error
    if len(rough) > k:
        least = max(least, np.partition(rough, -k)[-k] - 2 * error)
    return np.flatnonzero(rough >= least)


def _merged(a: Nearest, b: Nearest, k: int) -> Nearest:
    rows = np.concatenate([a.rows, b.rows])
    similarities = np.concatenate([a.similarities, b.similarities])
    order = np.lexsort([rows, -similarities])[:k]
    return Nearest(rows[order], similarities[order])
