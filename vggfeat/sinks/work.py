"""What a run has computed and not yet published, kept for the next run if this one is cut off.

`feats.npy.part` holds the rows in the order in which they were computed, `feats.npy.journal` tells
line by line which they are and which images failed, below a line of the settings. After each batch
both are on the disk. Nothing is assumed of the order in which the system has brought them there: a
row counts if it is whole, told, and has the checksum that is told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from vggfeat.outcome import Failure, Row, Stamp
from vggfeat.sinks import Form
from vggfeat.sinks.index import Entry
from vggfeat.sinks.part import Part, sync_folder, writing
from vggfeat.sinks.rows import RowFile, checksum


def part_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.part")


def journal_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.journal")


class Work:
    """The work in progress on an output.

    Args:
        output: the output that it is for.
        form: how its rows are written.
        shape: of one image's features.

    Attributes:
        vectors: the file of rows.
        settings: those of the run that has left the files; empty where none has.
        entries: the rows, in the order of the file.
        failures: images that failed.
    """

    def __init__(self, output: Path, form: Form, shape: tuple[int, ...]) -> None:
        self.vectors = part_of(output)
        self.journal = journal_of(output)
        self._form = form
        self._shape = shape
        self.settings: dict[str, Any] = {}
        self.entries: list[Entry] = []
        self.failures: list[Failure] = []
        self._kept = 0, 0  # bytes of the two files that were taken up
        self._parts: tuple[Part, ...] = ()
        with suppress(OSError, ValueError, TypeError), open(self.journal, "rb") as file:
            self.settings = dict(json.loads(file.readline()))

    def resume(self) -> None:
        """Take up what is there, as far as it is sound."""
        try:
            first, *lines = self.journal.read_bytes().splitlines(keepends=True)
            self._take(told := _sound(lines))
            with closing(self.rows()) as rows:
                self._take(told := _up_to(rows.intact(self.entries), told))
                self._kept = (
                    rows.end(len(self.entries)),
                    sum(map(len, lines[: len(told)]), len(first)),
                )
        except (OSError, ValueError):
            self._take([])

    def _take(self, told: Sequence[Entry | Failure]) -> None:
        self.entries = [outcome for outcome in told if isinstance(outcome, Entry)]
        self.failures = [outcome for outcome in told if isinstance(outcome, Failure)]

    def rows(self) -> RowFile:
        """The rows, to be read. Raises OSError."""
        names = [entry.name for entry in self.entries]
        return RowFile(self.vectors, self._form, self._shape, names)

    def start(self, settings: dict[str, Any]) -> None:
        """Open the files for what is to come, behind what was taken up. Raises VggfeatError.

        Args:
            settings: what the rows depend on, where nothing was taken up.
        """
        end_of_rows, end_of_lines = self._kept
        self._parts = Part(self.vectors, end_of_rows), Part(self.journal, end_of_lines)
        if not end_of_rows:
            self._parts[0].write(self._form.header(0, self._shape))
        if not end_of_lines:
            self._parts[1].write(_line(settings))
            self.settings = settings
        with writing(self.vectors):
            sync_folder(self.vectors.parent)

    def add(self, rows: Sequence[Row], failures: Sequence[Failure]) -> list[Entry]:
        """Write the outcomes of a batch, and have them on the disk. Raises VggfeatError."""
        vectors, journal = self._parts
        entries = [Entry(row.name, row.stamp, row.sha256, checksum(row.features)) for row in rows]
        if rows:
            features = np.stack([row.features for row in rows])
            vectors.write(self._form.encode([row.name for row in rows], features))
        journal.write(b"".join(_line(told) for told in (*entries, *failures)))
        vectors.sync()
        journal.sync()
        self.entries += entries
        self.failures += failures
        return entries

    def cut(self) -> None:
        """Cut off what a run that died has left behind the rows that count. Raises VggfeatError."""
        with writing(self.vectors), closing(self.rows()) as rows:
            if self.entries and rows.size > rows.end(len(self.entries)):
                os.truncate(self.vectors, rows.end(len(self.entries)))

    def close(self) -> None:
        for part in self._parts or ():
            part.close()

    def remove(self) -> None:
        """Forget it: the journal first, since rows that nothing tells of do not count."""
        self.close()
        self.journal.unlink(missing_ok=True)
        self.vectors.unlink(missing_ok=True)


def _line(told: object) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _sound(lines: Sequence[bytes]) -> list[Entry | Failure]:
    """What lines tell, up to the first one that is cut or damaged."""
    told: list[Entry | Failure] = []
    with suppress(ValueError, TypeError):
        for line in lines:
            if not line.endswith(b"\n"):
                break
            name, *rest = json.loads(line)
            if len(rest) == 2:
                reason, stamp = rest
                told.append(Failure(name, reason, Stamp(*stamp) if stamp else None))
            else:
                stamp, sha256, crc32 = rest
                told.append(Entry(name, Stamp(*stamp), sha256, crc32))
    return told


def _up_to(rows: int, told: list[Entry | Failure]) -> list[Entry | Failure]:
    """What is told before the row of that number."""
    places = [place for place, outcome in enumerate(told) if isinstance(outcome, Entry)]
    return told[: places[rows]] if rows < len(places) else told
