"""From what is known and what was computed to a new generation of an output.

See `settle.py` for the order in which its files appear, and why.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from vggfeat.errors import Interrupted
from vggfeat.outcome import Failure, Numbers
from vggfeat.sinks.containers import Container
from vggfeat.sinks.copying import Piece
from vggfeat.sinks.index import Entry, beside, encode_about, encode_failed, encode_index
from vggfeat.sinks.known import Kept
from vggfeat.sinks.part import Part, put, sync_folder, writing
from vggfeat.sinks.published import Published, generation
from vggfeat.sinks.rows import RowFile, Rows
from vggfeat.sinks.settle import complete, new, replace, write_header
from vggfeat.sinks.vectors import Vectors, vectors_of
from vggfeat.sinks.work import Work, part_of


def publish(
    output: Path,
    rows: Sequence[Kept],
    failures: Sequence[Failure],
    about: dict[str, Any],
    before: Published | None,
    work: Work,
) -> None:
    """Let a new generation take the place of the one before.

    Args:
        rows: all rows, in order, in the output before or in the work.
        failures: all images that have no row, in order.
        about: for `feats.json`; `generation`, and `bytes` and `mtime_ns` of each layer are added.
        before: the generation before, where rows of it may be kept.

    Raises:
        VggfeatError: it cannot be written; then all is as it was, or the new generation is
            decided and `settle` ends it.
    """
    about_path, index_path, failed_path = beside(output)
    listed = [kept.entry for kept in rows]
    changed = before is None or listed != before.entries or list(failures) != before.failures
    if changed:
        for file in vectors_of(output, about):
            _Rows(file, rows, before, work).make_ready()
        index, failed = encode_index(listed), encode_failed(failures)
        about["layers"] = list(_measured(output, about))
        about["generation"] = generation(index, failed)
        put(new(index_path), index)
        put(new(failed_path), failed)
    else:
        assert before is not None
        about["layers"] = list(_measured(output, about))
        about["generation"] = before.about["generation"]
    put(new(about_path), encode_about(about))
    with writing(output):
        sync_folder(output.parent)
        replace(about_path)
        sync_folder(output.parent)
        if not changed:
            return
        try:
            complete(output, about)
        except Interrupted:
            complete(output, about)
            raise


def _measured(output: Path, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is told of each layer, with its file's size and time as they are to be."""
    for file, layer in zip(vectors_of(output, about), about["layers"], strict=True):
        with writing(file.path):
            info = (new(file.path) if new(file.path).exists() else file.path).stat()
        yield layer | {"bytes": info.st_size, "mtime_ns": info.st_mtime_ns}


class _Rows:
    """A file of rows of a new generation, made from as little as can be."""

    def __init__(
        self, file: Vectors, rows: Sequence[Kept], before: Published | None, work: Work
    ) -> None:
        self._file = file
        self._rows = rows
        self._before = before
        self._work = work

    def make_ready(self) -> None:
        """Have it on the disk, to be published."""
        wanted = self._keys(kept.entry for kept in self._rows)
        there = self._keys(self._before.entries) if self._before else None
        if wanted == there:
            return
        if there and wanted[: len(there)] == there and self._may_grow():
            self._append(len(there))
        elif self._file.container:
            self._fill(self._file.container)
        elif wanted == self._keys(self._work.entries) and part_of(self._file.path).exists():
            part = self._work.cut(self._file)
            with writing(part):
                write_header(part, self._header())
                os.replace(part, new(self._file.path))
        else:
            self._assemble()

    def _may_grow(self) -> bool:
        # A second name of the file is somebody's copy of it, which is not to change.
        return (
            self._file.grows
            and self._file.path.stat().st_nlink == 1
            and os.access(self._file.path, os.W_OK)
        )

    def _keys(self, entries: Iterable[Entry]) -> list[tuple[Hashable, str, str]]:
        """What tells rows apart in a file of this form."""
        key = self._file.key
        return [(key(entry), entry.sha256, entry.crc32) for entry in entries]

    def _header(self) -> bytes:
        return self._file.header(len(self._rows))

    def _append(self, rows: int) -> None:
        """Put what follows the first rows behind them, where no reader sees it yet."""
        assert self._before is not None
        end = self._before.about["layers"][self._file.column]["bytes"]
        with closing(Part(self._file.path, end)) as part:
            self._copy(rows, part)

    def _assemble(self) -> None:
        """Copy all rows into a new file."""
        with closing(Part(new(self._file.path), 0)) as part:
            part.write(self._header())
            self._copy(0, part)

    def _fill(self, container: Container) -> None:
        """Put all rows into a new container."""
        listed = [kept.entry for kept in self._rows]
        path = new(self._file.path)
        with writing(path), ExitStack() as opened, open(path, "w+b") as file:
            container.write(file, listed, self._numbers(opened), self._file.kind)
            file.flush()
            os.fsync(file.fileno())

    def _numbers(self, opened: ExitStack) -> Iterator[Numbers]:
        files: dict[bool, Rows] = {}
        for kept in self._rows:
            if kept.published not in files:
                files[kept.published] = opened.enter_context(closing(self._open(kept)))
            yield files[kept.published].taken(kept.row)

    def _copy(self, first: int, part: Part) -> None:
        with ExitStack() as opened:
            part.copy(self._pieces(first, opened))
        part.sync()

    def _pieces(self, first: int, opened: ExitStack) -> Iterator[Piece]:
        files: dict[bool, RowFile] = {}
        for kept in self._rows[first:]:
            if kept.published not in files:
                files[kept.published] = opened.enter_context(closing(self._open_rows(kept)))
            yield files[kept.published].piece(kept.row, kept.entry.name)

    def _open(self, kept: Kept) -> Rows:
        if not kept.published:
            return self._work.rows(self._file)
        assert self._before is not None
        return self._file.open(self._before.entries)

    def _open_rows(self, kept: Kept) -> RowFile:
        opened = self._open(kept)
        assert isinstance(opened, RowFile)
        return opened
