"""The forms of tables: Parquet, and Arrow's file and stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from vggfeat.address import is_address
from vggfeat.errors import ImageError, TransientImageError
from vggfeat.outcome import Stamp
from vggfeat.sources.files import CHANGED
from vggfeat.sources.members import stamp_of_archive
from vggfeat.sources.ranges import Ranges, RangesFile, buffered, open_ranges

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_BYTES = 1 << 23
_MOST_ROWS = 4096
_BUFFER = 1 << 22


class TableFile(Protocol):
    """A table that is open."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""

    def count(self) -> int | None:
        """Its rows; None where only reading it would tell."""

    def values(self, place: int, first: int, count: int | None) -> Iterator[pa.Array]:
        """Some of a column's values, in pieces: as many from the first as are asked for."""


class Opened(NamedTuple):
    """A table, and its file's stamp."""

    file: TableFile
    stamp: Stamp | None


@contextmanager
def open_table(address: str) -> Iterator[Opened]:
    """A table, by what it begins with.

    Raises:
        ImageError, OSError, ValueError: it cannot be read, now or later.
        TransientImageError: it has changed when it is left.
    """
    ranges = open_ranges(address)
    beginning = ranges.read(0, 6)
    if beginning.startswith(b"PAR1"):
        yield Opened(_Parquet(ranges), ranges.stamp)
    elif beginning == b"ARROW1":
        yield Opened(_ArrowFile(ranges, None if is_address(address) else address), ranges.stamp)
    elif beginning.startswith(b"FEA1"):
        raise ImageError("this is Feather's first version: write it anew with a later one")
    else:
        yield Opened(_stream(ranges), ranges.stamp)
    if stamp_of_archive(address) != ranges.stamp:
        raise TransientImageError(CHANGED)


def _stream(ranges: Ranges) -> _ArrowStream:
    """The form that nothing tells by its first bytes. Raises ImageError: it is none."""
    import pyarrow as pa

    try:
        return _ArrowStream(ranges)
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):
            raise
        raise ImageError("it is neither Parquet nor Arrow, or damaged") from error


class _Parquet:
    def __init__(self, ranges: Ranges) -> None:
        import pyarrow.parquet as pq

        # Read page by page: a row group can be larger than memory.
        self._file = pq.ParquetFile(
            RangesFile(ranges),
            buffer_size=_BUFFER,
            pre_buffer=False,
            page_checksum_verification=True,
        )
        self.schema = self._file.schema_arrow

    def count(self) -> int | None:
        return int(self._file.metadata.num_rows)

    def values(self, place: int, first: int, count: int | None) -> Iterator[pa.Array]:
        column = self.schema.names[place]
        end = self._file.metadata.num_rows if count is None else first + count
        begin = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if begin < end and begin + rows > first:
                pieces = self._file.iter_batches(
                    self._rows_at_once(group, column), [group], [column], use_threads=False
                )
                yield from _cut((piece.column(0) for piece in pieces), first - begin, end - begin)
            begin += rows

    def _rows_at_once(self, group: int, column: str) -> int:
        about = self._file.metadata.row_group(group)
        leaves = (about.column(leaf) for leaf in range(about.num_columns))
        size = sum(
            leaf.total_uncompressed_size
            for leaf in leaves
            if leaf.path_in_schema == column or leaf.path_in_schema.startswith(f"{column}.")
        )
        rows: int = _BATCH_BYTES * about.num_rows // max(size, 1)
        return max(min(rows, _MOST_ROWS), 1)


class _ArrowFile:
    def __init__(self, ranges: Ranges, path: str | None) -> None:
        import pyarrow as pa

        self._source = pa.memory_map(path) if path else pa.PythonFile(RangesFile(ranges), "r")
        self._is_mapped = path is not None
        self.schema = self._reader().schema

    def count(self) -> int | None:
        if not self._is_mapped:
            return None
        reader = self._reader(0)
        return sum(int(reader.get_batch(n).num_rows) for n in range(reader.num_record_batches))

    def values(self, place: int, first: int, count: int | None) -> Iterator[pa.Array]:
        reader = self._reader(place)
        batches = (reader.get_batch(n).column(0) for n in range(reader.num_record_batches))
        return _cut(batches, first, None if count is None else first + count)

    def _reader(self, *places: int) -> Any:
        from pyarrow import ipc

        self._source.seek(0)
        return ipc.open_file(self._source, options=ipc.IpcReadOptions(included_fields=[*places]))


class _ArrowStream:
    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self.schema = self._reader().schema

    def count(self) -> int | None:
        return None

    def values(self, place: int, first: int, count: int | None) -> Iterator[pa.Array]:
        batches = (batch.column(0) for batch in self._reader(place))
        return _cut(batches, first, None if count is None else first + count)

    def _reader(self, *places: int) -> Any:
        from pyarrow import ipc

        file = buffered(self._ranges)
        return ipc.open_stream(file, options=ipc.IpcReadOptions(included_fields=[*places]))


def _cut(pieces: Iterable[pa.Array], first: int, end: int | None) -> Iterator[pa.Array]:
    """Of the values of all pieces those from the first to before the end."""
    begin = 0
    for piece in pieces:
        if end is not None and begin >= end:
            return
        start, stop = max(first - begin, 0), len(piece) if end is None else end - begin
        begin += len(piece)
        if start < len(piece):
            yield piece.slice(start, stop - start)
