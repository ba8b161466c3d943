"""Parts as Parquet files: what a part tells of itself is in its footer, under `vggfeat`.

`part-00000.parquet` and, where images failed, `_failed/part-00000.parquet`, written before it. Both
tell of the same run, else the failures are of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

from pyarrow import parquet

from vggfeat.dataset import footer
from vggfeat.dataset.folder import Folder
from vggfeat.dataset.forms import FAILED, Layers, SizeOf
from vggfeat.dataset.part import Made, part_name
from vggfeat.outcome import Failure, Numbers, Stamp
from vggfeat.sinks import arrow
from vggfeat.sinks.index import Entry

TELLS = ".parquet"

_TAIL = 1 << 16


def number(file: str) -> int | None:
    found = re.fullmatch(r"(?:_failed/)?part-(\d{5,})\.parquet", file)
    return int(found[1]) if found else None


def nbytes(name: str, layers: Iterable[str], size_of: SizeOf) -> int:
    return size_of(f"{name}.parquet") or 0


def made(folder: Folder, name: str, size_of: SizeOf) -> Made | None:
    file = f"{name}.parquet"
    with suppress(FileNotFoundError):
        found = footer.footer(_tail(folder, file, size)) if (size := size_of(file)) else None
        if found is None or not found.failed:
            return found
        of_failures = footer.footer(folder.read(f"{FAILED}/{file}"))
        return found if of_failures and of_failures.run == found.run else None
    return None


def _tail(folder: Folder, file: str, size: int) -> bytes:
    """The end of a file, with its whole footer. Raises FileNotFoundError."""
    tail = folder.tail(file, size, _TAIL)
    needed = int.from_bytes(tail[-8:-4], "little") + 8
    return folder.tail(file, size, needed) if len(tail) < needed <= size else tail


def is_foreign(folder: Folder, name: str, size_of: SizeOf) -> bool:
    """One that was cut short is ours."""
    file = f"{name}.parquet"
    try:
        return footer.is_foreign(_tail(folder, file, size_of(file) or 0))
    except FileNotFoundError:
        return False


def open(folder: Folder, number: int, size_of: SizeOf) -> ParquetPart | None:  # noqa: A001
    name = part_name(number)
    if not size_of(f"{name}.parquet"):
        return None
    with suppress(FileNotFoundError, *footer.DAMAGED), ExitStack() as opened:
        part = ParquetPart(number, opened.enter_context(folder.hold(f"{name}.parquet")))
        if part.made.failed:
            # A kill may have left those of a later run: the rows are good all the same.
            with suppress(FileNotFoundError, *footer.DAMAGED):
                part.failures = footer.decode_failures(
                    folder.read(f"{FAILED}/{name}.parquet"), part.made.run
                )
        opened.pop_all()
        return part
    return None


class ParquetPart:
    """See `Old`. Raises one of many errors where it is damaged anywhere."""

    def __init__(self, number: int, file: Any) -> None:
        self.number = number
        self._source = file
        self._file = parquet.ParquetFile(file, page_checksum_verification=True)
        self.made = Made.decode(self._file.metadata.metadata[footer.KEY])
        self.failures: list[Failure] = []
        told = self._file.schema_arrow.names
        self._layers = told[1:-3]
        groups = [self._file.metadata.row_group(at) for at in range(self._file.num_row_groups)]
        self._ends = list(accumulate(group.num_rows for group in groups))
        self._at, self._begin, self._rows = -1, 0, list[Numbers]()
        for group in range(len(groups)):
            self._read(group)
        self.rest()
        rows = self._file.read(["path", *told[-3:]]).to_pylist()
        self.entries = [
            Entry(
                arrow.name_of(row["path"]), footer.stamp_in(row) or Stamp(0, 0), row["sha256"], ""
            )
            for row in rows
        ]
        if len(self.entries) != self.made.rows:
            raise ValueError("rows are missing")

    def features(self, row: int) -> tuple[Numbers, ...]:
        if self._at < 0 or not self._begin <= row < self._ends[self._at]:
            self._read(next(at for at, end in enumerate(self._ends) if row < end))
        return tuple(rows[row - self._begin] for rows in self._rows)

    def rest(self) -> None:
        self._at, self._rows = -1, []

    def close(self) -> None:
        self._file.close()
        self._source.close()

    def _read(self, group: int) -> None:
        self._rows = []  # before there are others
        table = self._file.read_row_group(group, columns=self._layers)
        self._rows = [arrow.numbers(table.column(layer).combine_chunks()) for layer in self._layers]
        self._at, self._begin = group, self._ends[group - 1] if group else 0


@contextmanager
def write(folder: Folder, name: str, layers: Layers) -> Iterator[ParquetWriter]:
    with folder.spool(f"{name}.parquet") as spooled:
        writer = ParquetWriter(folder, name, layers, spooled)
        try:
            yield writer
        finally:
            writer.close()


class ParquetWriter:
    """See `PartWriter`."""

    def __init__(self, folder: Folder, name: str, layers: Layers, spooled: Path) -> None:
        self._folder = folder
        self._name = name
        self._spooled = spooled
        dtype = layers[0][1].dtype
        self._schema = arrow.schema(((layer, kind.shape) for layer, kind in layers), dtype)
        with folder.writing(f"{name}.parquet"):
            # Not by its name: so errors are the system's own.
            self._file = spooled.open("wb")
            self._writer = arrow.writer(self._file, self._schema)

    def add(self, entries: Sequence[Entry], features: Sequence[Numbers]) -> None:
        with self._folder.writing(f"{self._name}.parquet"):
            self._writer.write_table(arrow.table(entries, features, self._schema), len(entries))

    def publish(self, made: Made, failures: Sequence[Failure]) -> int:
        file, failed = f"{self._name}.parquet", f"{FAILED}/{self._name}.parquet"
        with self._folder.writing(file):
            self._writer.add_key_value_metadata({footer.KEY: made.encode()})
            self._writer.close()
            self._file.close()
            nbytes = self._spooled.stat().st_size
        if failures:
            self._folder.put_bytes(failed, footer.encode_failures(failures, made))
        self._folder.put(self._spooled, file)
        if not failures and self._folder.size(failed) is not None:
            self._folder.remove(failed)
        return nbytes

    def close(self) -> None:
        with suppress(OSError):  # it is given up
            self._writer.close()
        with suppress(OSError):
            self._file.close()
