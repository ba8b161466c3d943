"""Rows that are in files already, found and checked."""

from __future__ import annotations

import mmap
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np

from vggfeat.errors import VggfeatError
from vggfeat.outcome import Numbers
from vggfeat.sinks import Form, RowType
from vggfeat.sinks.containers import Container
from vggfeat.sinks.copying import Piece
from vggfeat.sinks.index import Entry


def checksum(features: Numbers) -> str:
    """crc32 of a row's numbers, little-endian, in hexadecimal."""
    little = features.dtype.newbyteorder("<")
    return f"{zlib.crc32(np.ascontiguousarray(features, little).data):08x}"


class Rows(ABC):
    """Rows of a file, in the order of a list of entries.

    Args:
        path: the file.
        column: which of an entry's checksums are those of its rows.

    Attributes:
        size: of the file, in bytes.
    """

    size: int

    def __init__(self, path: Path, column: int) -> None:
        self._path = path
        self._column = column

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are, as far as they are whole and in the order of the entries."""

    @abstractmethod
    def numbers(self, row: int) -> Numbers:
        """The numbers of a row, flat. Raises ValueError where they are damaged."""

    @abstractmethod
    def close(self) -> None: ...

    def intact(self, listed: Sequence[Entry]) -> int:
        """How many rows, from the first on, have the checksums that are listed."""
        for row, entry in enumerate(listed[: len(self)]):
            if not self.has(row, entry):
                return row
        return min(len(listed), len(self))

    def has(self, row: int, entry: Entry) -> bool:
        """Whether the row is the one that is listed."""
        return [self.checksum(row)] == entry.crc32s[self._column : self._column + 1]

    def checksum(self, row: int) -> str:
        try:
            return checksum(self.numbers(row))
        except ValueError:
            return "no numbers"

    def taken(self, row: int) -> Numbers:
        """The numbers of a row that is to be kept. Raises VggfeatError where they are damaged."""
        self._check_there(row)
        try:
            return self.numbers(row)
        except ValueError as error:
            raise self._damaged(row) from error

    def _check_there(self, row: int) -> None:
        if row >= len(self):
            raise self._damaged(len(self))

    def _damaged(self, rows: int) -> VggfeatError:
        return VggfeatError(f"{self._path}: damaged behind row {rows}: --fresh computes anew")


class RowFile(Rows):
    """An open file of rows, with the names by which they can be found in it.

    Raises OSError.
    """

    def __init__(
        self, path: Path, form: Form, kind: RowType, names: Sequence[str], column: int = 0
    ) -> None:
        super().__init__(path, column)
        self._form = form
        self._kind = kind
        self._names = names
        with open(path, "rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""
            self.fd = os.dup(file.fileno())
        self._places = form.locate(self._data, names, kind)

    def __len__(self) -> int:
        return len(self._places)

    def end(self, rows: int) -> int:
        """Where the first `rows` rows end; 0 for none."""
        return int(self._places[rows - 1][2]) if rows else 0

    def numbers(self, row: int) -> Numbers:
        _, begin, end = self._places[row].tolist()
        return self._form.numbers(self._data[begin:end], self._kind)

    def piece(self, row: int, name: str) -> Piece:
        """The row, as it is to be for an image of that name."""
        self._check_there(row)
        begin, numbers, end = self._places[row].tolist()
        if name == self._names[row]:
            return Piece(b"", self.fd, begin, end)
        return Piece(self._form.prefix(name), self.fd, numbers, end)

    def close(self) -> None:
        if isinstance(self._data, mmap.mmap):
            self._data.close()
        os.close(self.fd)


class RowsWithin(Rows):
    """The rows of a container.

    Raises:
        ValueError: it is no such container, or a damaged one.
        OSError: it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        container: Container,
        kind: RowType,
        entries: Sequence[Entry],
        column: int = 0,
    ) -> None:
        super().__init__(path, column)
        self._file = open(path, "rb")  # noqa: SIM115
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            wanted = map(container.key, entries)
            there = container.keys(self._file, kind)
            alike = takewhile(lambda keys: keys[0] == keys[1], zip(wanted, there, strict=False))
            self._count = sum(1 for _ in alike)
            self._rows = container.rows(self._file, kind)
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return self._count

    def numbers(self, row: int) -> Numbers:
        return self._rows[row].ravel()

    def close(self) -> None:
        self._file.close()
