"""A file whose errors are kept for later: HDF5 crashes the process where a write fails."""

from __future__ import annotations

from typing import Any, BinaryIO


class CalmFile:
    """What h5py needs of a file. After the first error nothing more is written.

    Errors of the system and interrupts alike: both would be raised within HDF5, which cannot
    close a file then, and tries it again when the process ends.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raise the error that was kept, if there is one."""
        if self._error is not None:
            raise self._error

    def seek(self, *args: int) -> int:
        return self._file.seek(*args)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        self._do(self._file.readinto, buffer)  # type: ignore[attr-defined]
        return len(buffer)

    def write(self, data: Any) -> int:
        self._do(self._file.write, data)
        return len(data)

    def truncate(self, size: int) -> int:
        self._do(self._file.truncate, size)
        return size

    def flush(self) -> None:
        self._do(self._file.flush)

    def _do(self, work: Any, *args: Any) -> None:
        if self._error is not None:
            return
        try:
            work(*args)
        except BaseException as error:
            self._error = error
