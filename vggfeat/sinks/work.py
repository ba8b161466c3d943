"""What a run has computed and not yet published, kept for the next run if this one is cut off.

`feats.npy.part` holds the rows in the order in which they were computed (of several layers each has
its own; those that are to go into a container are .npy rows), `feats.npy.journal` tells line by
line which they are and which images failed, below a line of the settings. After each batch all are
on the disk. Nothing is assumed of the order in which the system has brought them there: a row
counts if it is whole, told, and has the checksum that is told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from vggfeat.outcome import Failure, Row, Stamp
from vggfeat.sinks.index import Entry
from vggfeat.sinks.part import Part, sync_folder, writing
from vggfeat.sinks.rows import RowFile, checksum
from vggfeat.sinks.vectors import Vectors


def part_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.part")


def journal_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.journal")


def settings_of(output: Path) -> dict[str, Any]:
    """Those of the run that has left work in progress; empty where none has."""
    settings: dict[str, Any] = {}
    with suppress(OSError, ValueError, TypeError), open(journal_of(output), "rb") as file:
        settings = dict(json.loads(file.readline()))
    return settings


def paths_of(output: Path, settings: dict[str, Any]) -> list[Path]:
    """Where the vectors of such a run are to be published."""
    with suppress(KeyError, TypeError, ValueError):
        return [output.with_name(layer["file"]) for layer in settings["layers"]]
    return []


class Work:
    """The work in progress on an output.

    Args:
        output: the output that it is for.
        files: that its rows will be published in.

    Attributes:
        settings: those of the run that has left the files; empty where none has.
        entries: the rows, in the order of the file.
        failures: images that failed.
    """

    def __init__(self, output: Path, files: Sequence[Vectors]) -> None:
        self.journal = journal_of(output)
        self._files = files
        self.settings = settings_of(output)
        self.entries: list[Entry] = []
        self.failures: list[Failure] = []
        self._kept = [0] * (len(files) + 1)  # bytes of the files that were taken up
        self._parts: list[Part] = []
        self._paths = [part_of(file.path) for file in files]
        # What a run of other layers has left.
        told = [part_of(path) for path in paths_of(output, self.settings)]
        self._left = [path for path in told if path not in self._paths]

    def resume(self) -> None:
        """Take up what is there, as far as it is sound."""
        try:
            first, *lines = self.journal.read_bytes().splitlines(keepends=True)
            self._take(told := _sound(lines))
            with ExitStack() as opened:
                parts = [opened.enter_context(closing(self.rows(file))) for file in self._files]
                intact = min(rows.intact(self.entries) for rows in parts)
                self._take(told := _up_to(intact, told))
                self._kept = [rows.end(len(self.entries)) for rows in parts]
            self._kept.append(sum(map(len, lines[: len(told)]), len(first)))
        except (OSError, ValueError):
            self._take([])
            self._kept = [0] * (len(self._files) + 1)

    def _take(self, told: Sequence[Entry | Failure]) -> None:
        self.entries = [outcome for outcome in told if isinstance(outcome, Entry)]
        self.failures = [outcome for outcome in told if isinstance(outcome, Failure)]

    def rows(self, file: Vectors) -> RowFile:
        """The rows that will go into a file, to be read. Raises OSError."""
        return file.open_rows(self.entries, part_of(file.path))

    def start(self, settings: dict[str, Any]) -> None:
        """Open the files for what is to come, behind what was taken up. Raises VggfeatError.

        Args:
            settings: what the rows depend on, where nothing was taken up.
        """
        *kept, told = self._kept
        with writing(self.journal):
            # While the journal still tells of them.
            for path in self._left if told else (*self._left, *self._paths):
                path.unlink(missing_ok=True)
        self._parts.append(journal := Part(self.journal, told))
        if not told:  # before there is anything else
            journal.write(_line(settings))
            self.settings = settings
        for file, path, end in zip(self._files, self._paths, kept, strict=True):
            self._parts.append(part := Part(path, end))
            if not end:
                part.write(file.header(0))
        with writing(self.journal):
            sync_folder(self.journal.parent)

    def add(self, rows: Sequence[Row], failures: Sequence[Failure]) -> list[Entry]:
        """Write the outcomes of a batch, and have them on the disk. Raises VggfeatError."""
        journal, *vectors = self._parts
        entries = list(map(self._entry, rows))
        for file, part in zip(self._files, vectors, strict=True):
            if rows:
                features = np.stack([row.features[file.column] for row in rows])
                part.write(file.form.encode([row.name for row in rows], features))
        journal.write(b"".join(_line(told) for told in (*entries, *failures)))
        for part in (*vectors, journal):
            part.sync()
        self.entries += entries
        self.failures += failures
        return entries

    def _entry(self, row: Row) -> Entry:
        checksums = [checksum(row.features[file.column]) for file in self._files]
        return Entry(row.name, row.stamp, row.sha256, " ".join(checksums))

    def cut(self, file: Vectors) -> Path:
        """Cut off what a run that died has left behind the rows that count. Raises VggfeatError.

        Returns:
            the file of rows that will become this one.
        """
        part = part_of(file.path)
        with writing(part), closing(self.rows(file)) as rows:
            if self.entries and rows.size > rows.end(len(self.entries)):
                os.truncate(part, rows.end(len(self.entries)))
        return part

    def close(self) -> None:
        for part in self._parts:
            part.close()

    def remove(self) -> None:
        """Forget it: the journal last, which tells what else there is to remove."""
        self.close()
        for path in (*self._paths, *self._left, self.journal):
            path.unlink(missing_ok=True)


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
