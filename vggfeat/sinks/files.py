"""Output to a file and its companions: whole when it appears, and never over another's work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import filelock
import numpy as np

from vggfeat.errors import OutputBusyError, VggfeatError, describe_os_error
from vggfeat.outcome import Failure, Outcome, Row
from vggfeat.sinks import Form
from vggfeat.sinks.index import (
    FAILED_HEADER,
    INDEX_HEADER,
    beside,
    encode_about,
    failed_line,
    index_line,
    read_about,
)
from vggfeat.sinks.part import Part


class FileSink:
    """`feats.npy`, `feats.index.csv`, `feats.json` and, if need be, `feats.failed.csv`.

    Args:
        output: the file to make. A symbolic link is followed.
        form: how it is written.
        shape: of one image's features.

    Raises:
        OutputBusyError: another run is writing it.
        VggfeatError: it cannot be written.
    """

    def __init__(self, output: Path, form: Form, shape: tuple[int, ...]) -> None:
        self._form = form
        self._shape = shape
        self._rows = 0
        self._failures = 0
        self._lock = _Lock(output)
        about, index, failed = beside(output)
        self._vectors, self._index, self._failed, self._about = self._parts = [
            Part(path) for path in (output, index, failed, about)
        ]
        self._vectors.write(form.header(0, shape))
        self._index.write(INDEX_HEADER)
        self._failed.write(FAILED_HEADER)
        self._commit()

    def write(self, outcomes: Sequence[Outcome]) -> None:
        rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if rows:
            features = np.stack([row.features for row in rows])
            self._vectors.write(self._form.encode([row.name for row in rows], features))
            numbered = enumerate(rows, start=self._rows)
            self._index.write(b"".join(index_line(number, row) for number, row in numbered))
        self._failed.write(b"".join(map(failed_line, failures)))
        self._commit()
        self._rows += len(rows)
        self._failures += len(failures)

    def publish(self, about: dict[str, object]) -> None:
        self._finish_header()
        self._about.write(encode_about(about))
        for part in self._parts:
            part.sync()
        # `feats.json` goes first and the vectors last: whatever is there is known as ours.
        self._about.publish()
        self._index.publish()
        if self._failures:
            self._failed.publish()
        else:
            self._failed.discard()
            self._failed.final.unlink(missing_ok=True)
        self._vectors.publish()
        _sync_folder(self._vectors.final.parent)
        self._lock.release()

    def keep(self) -> str | None:
        kept = [self._vectors, self._index] if self._rows else []
        if kept and self._failures:
            kept.append(self._failed)
        for part in self._parts:
            if part not in kept:
                part.discard()
                continue
            with contextlib.suppress(OSError, VggfeatError):
                part.roll_back()
                if part is self._vectors:
                    self._finish_header()
                part.close()
        self._lock.release()
        return f"{self._rows:,} rows are kept in {self._vectors.path}" if kept else None

    def _commit(self) -> None:
        for part in self._parts:
            part.commit()

    def _finish_header(self) -> None:
        if self._form.HEADER_TELLS_ROWS:
            self._vectors.write(self._form.header(self._rows, self._shape), offset=0)


class _Lock:
    """Keeps a second run from the same output. Ends with the process, however that ends."""

    def __init__(self, output: Path) -> None:
        self._path = output.with_name(f".{output.name}.lock")
        self._lock = filelock.FileLock(self._path, timeout=0)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            if self._path.exists():
                raise OutputBusyError(f"{output}: another vggfeat is writing it") from None
            # What it also says where no file can be made, as in /proc.
            raise VggfeatError(f"{output}: no file can be made in {output.parent}") from None
        except OSError as error:
            raise VggfeatError(
                f"{output}: cannot be written: {describe_os_error(error)}"
            ) from error

    def release(self) -> None:
        # Removed while it is still held: who waits for it notices that the file is gone.
        self._path.unlink(missing_ok=True)
        self._lock.release()


def check_free(output: Path) -> None:
    """See that nothing of another's would be replaced by an output and its companions.

    Raises:
        VggfeatError: something at its place was not written by vggfeat, or is another output's.
    """
    if not output.parent.is_dir():
        raise VggfeatError(f"{output}: there is no folder {output.parent}")
    if output.exists() and not output.is_file():
        raise VggfeatError(f"{output}: is there and is not a file")
    about_path, index, failed = beside(output)
    try:
        about = read_about(about_path)
    except FileNotFoundError:
        strangers = [path for path in (output, index, failed) if path.exists()]
    except OSError as error:
        raise VggfeatError(f"{about_path}: cannot be read: {describe_os_error(error)}") from error
    else:
        strangers = [about_path] if about is None else []
        if about is not None and about.get("output") != output.name:
            raise VggfeatError(
                f"{output}: {about_path.name} beside it belongs to {about.get('output')}; "
                "choose a name that differs before the dot"
            )
    if strangers:
        raise VggfeatError(
            f"{strangers[0]}: was not written by vggfeat, so it is not replaced: move it away "
            "or choose another -o"
        )


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system can open a folder
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
