"""Tables, Parquet or Arrow, with an image in each row: its bytes, its path or its address."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from vggfeat.address import is_address, shown
from vggfeat.errors import ImageError, TransientImageError
from vggfeat.outcome import Stamp
from vggfeat.sources.base import Failing, ImageRef, Unit
from vggfeat.sources.columns import column_of, holds_paths
from vggfeat.sources.files import MAX_BYTES, LocalFile, too_large
from vggfeat.sources.held import Held, waiting
from vggfeat.sources.members import stamp_of_archive, stamp_within
from vggfeat.sources.objects import RemoteFile, as_image_error
from vggfeat.sources.skipped import Skipped
from vggfeat.sources.table_files import TableFile, open_table

_THREADS = 16


class Table(NamedTuple):
    """A table, or some rows of it.

    Attributes:
        column: which holds the images; None to find out.
        first: how many rows are left out.
        length: how many follow; None for all.
    """

    address: str
    column: str | None = None
    first: int = 0
    length: int | None = None

    @property
    def name(self) -> str:
        if self.length is None:
            return shown(self.address)
        return f"{shown(self.address)} (rows {self.first:,} to {self.first + self.length - 1:,})"

    def images(self, skipped: Skipped) -> Iterator[ImageRef]:
        try:
            with as_image_error(), open_table(self.address) as (table, at):
                yield from self._rows(table, at)
        except ImageError as error:
            yield Failing(self.name, str(error), isinstance(error, TransientImageError))

    def inputs(self) -> Iterable[tuple[str, Stamp | None]]:
        yield self.name, stamp_of_archive(self.address)
        if self._holds_paths():
            yield from stamps_of(self.images(Skipped()))

    def divided(self, most: int) -> Iterator[Unit]:
        """By the number of rows that its footer tells."""
        total = self._total()
        if total is None or total <= most:
            yield self
            return
        for first in range(0, total, most):
            yield Table(self.address, self.column, first, min(most, total - first))

    def _total(self) -> int | None:
        try:
            with as_image_error(), open_table(self.address) as (table, _):
                column_of(table.schema, self.column, shown(self.address))
                return table.count()
        except ImageError:
            return None

    def _holds_paths(self) -> bool:
        try:
            with as_image_error(), open_table(self.address) as (table, _):
                place = column_of(table.schema, self.column, shown(self.address))
                return holds_paths(table.schema.field(place).type)
        except ImageError:
            return False

    def _rows(self, table: TableFile, at: Stamp | None) -> Iterator[ImageRef]:
        name = shown(self.address)
        place = column_of(table.schema, self.column, name)
        number = self.first
        for values in table.values(place, self.first, self.length):
            for value in values:
                yield self._image(f"{name}/{number}", value.as_py(), at, number)
                number += 1

    def _image(self, row: str, value: Any, at: Stamp | None, number: int) -> ImageRef:
        if isinstance(value, dict):  # Hugging Face's
            value = value["bytes"] if value["bytes"] is not None else value.get("path")
        if not value:
            return Failing(row, "the table has no image here")
        if isinstance(value, str):
            return image_at(beside(self.address, value))
        if len(value) > MAX_BYTES:
            return Failing(row, str(too_large(len(value))))
        leave = waiting.room_for(len(value))
        return Held(row, value, stamp_within(at, len(value), number), leave)


def beside(table: str, path: str) -> str:
    """A path in a table: a relative one is below the table's folder."""
    if is_address(path) or os.path.isabs(path):
        return path
    if not is_address(table):
        return os.path.join(os.path.dirname(table), path)
    return f"{table.partition('?')[0].rpartition('/')[0]}/{path}"


def image_at(name: str) -> ImageRef:
    """The image at a path or an address."""
    return RemoteFile(name) if is_address(name) else LocalFile(name)


def stamps_of(images: Iterable[ImageRef]) -> Iterator[tuple[str, Stamp | None]]:
    """Names and stamps, asked for by several threads where each needs a request."""
    listed = list(images)
    if not any(isinstance(image, RemoteFile) and not image.is_listed for image in listed):
        return ((image.name, image.stamp()) for image in listed)
    with ThreadPoolExecutor(_THREADS) as threads:
        stamps = list(threads.map(lambda image: image.stamp(), listed))
    return zip((image.name for image in listed), stamps, strict=True)
