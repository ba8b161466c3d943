"""Rows that are nearly the same: all against all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import UsageError
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

MOST_PAIRS = 10_000_000

_TILE = 1 << 24  # bytes of the rows that a block is compared with at a time
_FIRST = -1  # in place of a leader, of rows that have none

OnRows = Callable[[int], None]


class Pairs(NamedTuple):
    """Pairs of rows, the most similar first, equally similar ones in the order of their rows.

    Attributes:
        first: int64 `[p]`, the earlier row of each.
        second: int64 `[p]`.
        similarities: float64 `[p]`, cosines.
    """

    first: RowNumbers
    second: RowNumbers
    similarities: Numbers


class Group(NamedTuple):
    """Rows that are nearly the same as the first of them.

    Attributes:
        rows: int64 `[m]`, ascending.
        similarities: float64 `[m]`, cosines with the first row.
    """

    rows: RowNumbers
    similarities: Numbers


def _no_progress(rows: int) -> None:
    pass


def pairs(
    vectors: Rows, threshold: float, block: int = BLOCK, on_rows: OnRows = _no_progress
) -> Pairs:
    """All pairs of rows whose cosine is the threshold or more, exactly as float64 has it.

    Args:
        vectors: float16 or float32 `[n, ...]`, finite; may be memory-mapped.
        threshold: above -1, and 1 at the most.
        block: bytes that a block of rows takes in float32.
        on_rows: told how many more rows are done.

    Raises:
        UsageError: the threshold is none, or there are more than MOST_PAIRS.
    """
    _check(threshold)
    vectors = flat(vectors)
    error = margin(vectors.shape[1])
    found = []
    count = 0
    for part in blocks(len(vectors), vectors.shape[1], block):
        rows = np.arange(part.start, part.stop)
        for columns, rough in _tiles(vectors, rows, np.arange(part.start, len(vectors)), block):
            later = columns > rows[:, None]
            if count + np.count_nonzero((rough >= threshold + error) & later) > MOST_PAIRS:
                raise UsageError(
                    f"more than {MOST_PAIRS:,} pairs are that similar: ask for a higher --threshold"
                )
            i, j = np.nonzero((rough >= threshold - error) & later)
            exact = cosines(vectors, rows[i], vectors, columns[j], block)
            kept = exact >= threshold
            found.append(Pairs(rows[i][kept], columns[j][kept], exact[kept]))
            count += np.count_nonzero(kept)
        on_rows(len(rows))
    first, second, similarities = (
        np.concatenate(column) for column in zip(*found, strict=True)
    ) if found else (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))  # fmt: skip
    order = np.lexsort([second, first, -similarities])
    return Pairs(first[order], second[order], similarities[order])


def groups(
    vectors: Rows, threshold: float, block: int = BLOCK, on_rows: OnRows = _no_progress
) -> list[Group]:
    """Rows in groups: each row is with the earliest that leads a group and is similar enough.

    Row by row: a row whose cosine with an earlier first row of a group is the threshold or more
    belongs to that group, to the earliest such; any other is the first of its own. So all rows of
    a group are that similar to its first, no two firsts are that similar to each other, and what
    is left when all but the firsts are removed has no such pairs.

    Returns:
        The groups of two rows and more, by their first rows.

    Args and errors are those of `pairs`, but there is no limit.
    """
    _check(threshold)
    vectors = flat(vectors)
    leaders = np.full(len(vectors), _FIRST)
    for part in blocks(len(vectors), vectors.shape[1], block):
        rows = part.start + np.flatnonzero(leaders[part] == _FIRST)
        _settle(vectors, rows, rows, threshold, leaders, block)
        leading = rows[leaders[rows] == _FIRST]
        beyond = part.stop + np.flatnonzero(leaders[part.stop :] == _FIRST)
        _settle(vectors, leading, beyond, threshold, leaders, block)
        on_rows(part.stop - part.start)
    return list(_groups(vectors, leaders, block))


def _check(threshold: float) -> None:
    if not -1 < threshold <= 1:  # which NaN is not, either
        raise UsageError(f"a threshold of {threshold}: it must be above -1, and 1 at the most")


def _settle(
    vectors: Rows,
    rows: RowNumbers,
    others: RowNumbers,
    threshold: float,
    leaders: RowNumbers,
    block: int,
) -> None:
    """Give `others` their leaders among `rows`: those that have none themselves when it is their
    turn."""
    for columns, rough in _tiles(vectors, rows, others, block):
        alike = _alike(vectors, rows, columns, rough, threshold, block)
        for number in np.flatnonzero(alike.any(axis=1)):
            if leaders[rows[number]] == _FIRST:
                members = columns[alike[number] & (columns > rows[number])]
                leaders[members[leaders[members] == _FIRST]] = rows[number]


def _alike(
    vectors: Rows,
    rows: RowNumbers,
    columns: RowNumbers,
    rough: Rows,
    threshold: float,
    block: int,
) -> NDArray[np.bool_]:
    """Which cosines reach the threshold: looked at again where the rough ones leave a doubt."""
    error = margin(vectors.shape[1])
    alike = rough >= threshold + error
    i, j = np.nonzero((rough >= threshold - error) & ~alike)
    alike[i, j] = cosines(vectors, rows[i], vectors, columns[j], block) >= threshold
    return alike


def _tiles(
    vectors: Rows, rows: RowNumbers, columns: RowNumbers, block: int
) -> Iterator[tuple[RowNumbers, NDArray[np.float32]]]:
    """Rough cosines of some rows with others, a few of the others at a time."""
    if not len(rows):
        return
    directions = units(vectors[rows])
    for part in blocks(len(columns), vectors.shape[1], min(block, _TILE)):
        yield columns[part], directions @ units(vectors[columns[part]]).T


def _groups(vectors: Rows, leaders: RowNumbers, block: int) -> Iterator[Group]:
    members = np.flatnonzero(leaders != _FIRST)
    if not len(members):
        return
    members = members[np.argsort(leaders[members], kind="stable")]
    similarities = cosines(vectors, leaders[members], vectors, members, block)
    firsts, starts = np.unique(leaders[members], return_index=True)
    for first, rows, alike in zip(
        firsts, np.split(members, starts[1:]), np.split(similarities, starts[1:]), strict=True
    ):
        yield Group(np.append(first, rows), np.append(1.0, alike))
