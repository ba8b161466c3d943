"""The steps by which a new generation takes the place of the old one, and how to end or undo them.

A run first makes everything durable under other names (`.new`; rows that only go to the end of an
.npy file are put behind those that its header tells). Then it replaces

1. `feats.json`: from here on the new generation is decided,
2. the vectors, of one layer after the other: by a rename, or by the number of rows in their header,
3. `feats.failed.csv`,
4. `feats.index.csv`: from here on it is complete,

and has the folder on the disk after each, so that a power cut leaves them in that order. An index
that fits `feats.json` therefore says that all is complete, and an `.index.csv.new` that fits it
that the rest is still to be done, by whoever comes next.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from vggfeat.sinks import STREAMS
from vggfeat.sinks.index import beside
from vggfeat.sinks.part import sync_folder, writing
from vggfeat.sinks.published import about_at, content, generation, replaced_by
from vggfeat.sinks.vectors import Vectors, vectors_of
from vggfeat.sinks.work import journal_of, part_of, paths_of, settings_of


def new(path: Path) -> Path:
    """The name that a file has before it is published."""
    return path.with_name(f"{path.name}.new")


def settle(output: Path) -> None:
    """End what a run began that was cut off while it published, or take it back.

    Only for who holds the lock of the output. Raises VggfeatError.
    """
    about_path, index, failed = beside(output)
    with writing(output):
        about = about_at(about_path)
        if about is not None and _is_decided(about, index, failed):
            complete(output, about)
        for path in (about_path, index, failed):
            new(path).unlink(missing_ok=True)
        _take_back(output, about)
        if about is not None:
            for file, told in zip(vectors_of(output, about), about["layers"], strict=True):
                _cut(file, about["rows"], told["mtime_ns"])


def complete(output: Path, about: dict[str, Any]) -> None:
    """The second to the last step of publishing. Raises OSError.

    Args:
        about: the content of `feats.json`, which has been replaced already.
    """
    _, index, failed = beside(output)
    for file, told in zip(vectors_of(output, about), about["layers"], strict=True):
        if new(file.path).exists():
            replace(file.path)
        elif file.grows and os.access(file.path, os.W_OK):
            write_header(file.path, file.header(about["rows"]))
            os.utime(file.path, ns=(time.time_ns(), told["mtime_ns"]))
    for name in replaced_by(about):
        output.with_name(name).unlink(missing_ok=True)
    sync_folder(output.parent)
    if not new(failed).exists():
        pass
    elif new(failed).stat().st_size:
        replace(failed)
    else:
        failed.unlink(missing_ok=True)
        new(failed).unlink()
    sync_folder(output.parent)
    if new(index).exists():  # else an interrupt has come after it
        replace(index)
    sync_folder(output.parent)


def replace(path: Path) -> None:
    """Let the new file take the place of the old one, whose permissions stay. Raises OSError."""
    if path.exists():
        with suppress(PermissionError):  # another user's file
            shutil.copymode(path, new(path))
    os.replace(new(path), path)


def write_header(path: Path, header: bytes) -> None:
    """Let a file begin so, and have it on the disk. Raises OSError.

    Only what differs is written: some digits, at once, so that a reader sees the one or the other.
    Where nothing differs all is written again, since a write that could not be brought to the disk
    is seen as well, until the system is restarted.
    """
    fd = os.open(path, os.O_RDWR)
    try:
        before = os.pread(fd, len(header), 0).ljust(len(header), b"\0")
        differ = [at for at, byte in enumerate(header) if before[at] != byte]
        begin, end = (differ[0], differ[-1] + 1) if differ else (0, len(header))
        while begin < end:
            begin += os.pwrite(fd, header[begin:end], begin)
        os.fsync(fd)
    finally:
        os.close(fd)


def _is_decided(about: dict[str, Any], index: Path, failed: Path) -> bool:
    """Whether `feats.json` is of the generation that has not all of its files yet."""
    if not new(index).exists():
        return False
    pending = new(failed) if new(failed).exists() else failed
    return generation(new(index).read_bytes(), content(pending)) == about.get("generation")


def _take_back(output: Path, about: dict[str, Any] | None) -> None:
    """Undo what was made ready for a generation that was not decided."""
    settings = settings_of(output)
    working = paths_of(output, settings)
    renamed = working if settings.get("format") in STREAMS else []
    for path in dict.fromkeys((output, *working, *paths_of(output, about or {}))):
        if new(path).exists() and path in renamed and not part_of(path).exists():
            os.replace(new(path), part_of(path))
        new(path).unlink(missing_ok=True)
    if not all(part_of(path).exists() for path in working or [output]):
        for path in working:
            part_of(path).unlink(missing_ok=True)
        journal_of(output).unlink(missing_ok=True)


def _cut(file: Vectors, rows: int, mtime_ns: int) -> None:
    """Cut off rows that were put behind those that are published, and never decided."""
    if not file.grows or not file.path.exists():
        return
    end = len(file.header(rows)) + rows * file.kind.nbytes
    if file.begins_as_told(rows) and file.path.stat().st_size > end:
        os.truncate(file.path, end)
        os.utime(file.path, ns=(time.time_ns(), mtime_ns))
