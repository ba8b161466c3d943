"""A file that is being written: beside its final place until it is whole."""

from __future__ import annotations

import os
from pathlib import Path

from vggfeat.errors import VggfeatError, describe_os_error


class Part:
    """`feats.npy.part` on its way to become `feats.npy`.

    What was committed stays; what was written after it, when the work was cut off, is taken
    away again. Errors of the file system are VggfeatErrors that name the file.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = final.with_name(final.name + ".part")
        self._committed = 0
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | _CLOEXEC, 0o666)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, data: bytes, offset: int | None = None) -> None:
        """Add data at the end, or put it in place of what is at an offset."""
        try:
            if offset is not None:
                os.lseek(self._fd, offset, os.SEEK_SET)
            write_all(self._fd, data)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            raise self._failed(error) from error

    def commit(self) -> None:
        self._committed = os.lseek(self._fd, 0, os.SEEK_END)

    def roll_back(self) -> None:
        """Cut off what was not committed."""
        os.ftruncate(self._fd, self._committed)

    def sync(self) -> None:
        """Have the data on the disk, and the file closed."""
        try:
            os.fsync(self._fd)
            self.close()
        except OSError as error:
            raise self._failed(error) from error

    def publish(self) -> None:
        """Take the final name, in place of what had it."""
        try:
            os.replace(self.path, self.final)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def discard(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> VggfeatError:
        return VggfeatError(f"{self.path}: cannot be written: {describe_os_error(error)}")


def write_all(fd: int, data: bytes) -> None:
    """Write to a file descriptor until all is written. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
