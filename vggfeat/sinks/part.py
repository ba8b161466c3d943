"""A file that grows while a run works, beside the one that it will become."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.sinks.copying import Piece, copy, write_all

# What file systems say that have nothing to do for a folder.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS}

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class Part:
    """`feats.npy.part`, open for adding to its end.

    Args:
        path: the file; made if there is none.
        length: in bytes, of what is to stay of it.

    Raises:
        VggfeatError: for each error of the file system, naming the file.
    """

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        with writing(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
            os.ftruncate(self._fd, length)
            os.lseek(self._fd, 0, os.SEEK_END)

    def write(self, data: bytes) -> None:
        with writing(self.path):
            write_all(self._fd, data)

    def copy(self, pieces: Iterable[Piece]) -> None:
        """Add parts of other files."""
        with writing(self.path):
            copy(pieces, self._fd)

    def sync(self) -> None:
        """Have on the disk what was written."""
        with writing(self.path):
            os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def put(path: Path, data: bytes) -> None:
    """Write a small file, and have it on the disk. Raises VggfeatError."""
    with closing(Part(path, 0)) as part:
        part.write(data)
        part.sync()


def sync_folder(folder: Path) -> None:
    """Have on the disk which names a folder holds. Raises OSError."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:  # not every system can open a folder, or has to
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(fd)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the file system into one that names the file."""
    try:
        yield
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be written: {describe_os_error(error)}") from error
