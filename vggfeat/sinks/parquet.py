"""Parquet: a table of paths, features and stamps, as `arrow.py` has it, in groups of rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType, arrow
from vggfeat.sinks.containers import CutError
from vggfeat.sinks.index import Entry

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAGIC = b"PAR1"

_ABOUT = b"vggfeat"  # in the footer: what the rows were made by
_HELD = 4  # groups, so that rows that have changed places do not cost one each


def key(entry: Entry) -> tuple[str, int | None, int | None, str]:
    return (arrow.text(entry.name), *arrow.stamp_of(entry), entry.sha256)


def write(file: BinaryIO, entries: Sequence[Entry], rows: Iterable[Numbers], kind: RowType) -> None:
    columns = arrow.schema([(kind.name, kind.shape)], kind.dtype)
    columns = columns.with_metadata({_ABOUT: kind.made.encode()})
    group = arrow.rows_of_a_group([kind])
    following = iter(rows)
    with arrow.writer(file, columns) as writer:
        for first in range(0, len(entries), group):
            some = entries[first : first + group]
            features = np.stack(list(islice(following, len(some))))
            writer.write_table(arrow.table(some, [features], columns), len(some))


def keys(file: BinaryIO, kind: RowType) -> Iterator[tuple[str, int | None, int | None, str]]:
    names = ["path", "size", "mtime_ns", "sha256"]
    with _told():
        for batch in _opened(file, kind).iter_batches(columns=names):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def rows(file: BinaryIO, kind: RowType) -> RowGroups:
    return RowGroups(_opened(file, kind), kind)


def load(file: BinaryIO, kind: RowType) -> Numbers:
    """Into memory: Parquet has no rows to be mapped."""
    groups = rows(file, kind)
    all_rows = np.empty((len(groups), *kind.shape), kind.dtype)
    for number, first in enumerate(groups.begins[:-1]):
        features = groups.group(number)
        all_rows[first : first + len(features)] = features.reshape(-1, *kind.shape)
    return all_rows


class RowGroups:
    """The rows of a layer, of which some groups are in memory."""

    def __init__(self, file: pq.ParquetFile, kind: RowType) -> None:
        self._file = file
        self._kind = kind
        told = file.metadata
        counts = [told.row_group(number).num_rows for number in range(told.num_row_groups)]
        self.begins: list[int] = np.cumsum([0, *counts]).tolist()
        self.group = lru_cache(_HELD)(self._group)

    def __len__(self) -> int:
        return self.begins[-1]

    def __getitem__(self, row: int, /) -> Numbers:
        number = int(np.searchsorted(self.begins, row, "right")) - 1
        found: Numbers = self.group(number)[row - self.begins[number]]
        return found

    def _group(self, number: int) -> Numbers:
        """`[n, numbers of a row]`. Raises ValueError where it is damaged."""
        with _told():
            columns = self._file.read_row_group(number, columns=[self._kind.name])
        if len(columns) != self.begins[number + 1] - self.begins[number]:
            raise ValueError(f"group {number} has not the rows that it tells")
        return arrow.numbers(columns.column(0).combine_chunks())


def _opened(file: BinaryIO, kind: RowType) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with _told():
            opened = pq.ParquetFile(pa.PythonFile(file, "r"), page_checksum_verification=True)
            there = opened.schema_arrow
    except ValueError as error:
        raise CutError(str(error)) from error
    if not there.equals(arrow.schema([(kind.name, kind.shape)], kind.dtype), check_metadata=False):
        raise ValueError("its columns are others")
    return opened


@contextmanager
def _told() -> Iterator[None]:
    """What pyarrow says of damaged data as ValueError; OSError is the system's alone."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.strerror == os.strerror(error.errno):
            raise
        raise ValueError(str(error)) from error
