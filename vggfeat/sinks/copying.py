"""Bytes from one file to another, within the kernel where it can."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import NamedTuple

_CHUNK = 1 << 20

# What systems say that have no copy within the kernel for this pair of files.
_NO_COPY = {errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.ETXTBSY}


class Piece(NamedTuple):
    """A part of a new file: some bytes, then a range of an open file."""

    literal: bytes
    fd: int
    begin: int
    end: int


def write_all(fd: int, data: bytes) -> None:
    """Write to a file descriptor until all is written. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def copy(pieces: Iterable[Piece], out: int) -> None:
    """Write pieces one after the other to a file descriptor, neighbours in one. Raises OSError."""
    held = None
    for piece in pieces:
        if held and not piece.literal and (held.fd, held.end) == (piece.fd, piece.begin):
            held = held._replace(end=piece.end)
            continue
        if held:
            _copy(held, out)
        held = piece
    if held:
        _copy(held, out)


def _copy(piece: Piece, out: int) -> None:
    write_all(out, piece.literal)
    at = piece.begin
    while at < piece.end:
        copied = _copy_some(piece.fd, at, piece.end - at, out)
        if not copied:
            raise OSError(errno.EIO, "a file of rows was cut short while it was read")
        at += copied


def _copy_some(source: int, at: int, length: int, out: int) -> int:
    """Within the kernel where it can, which shares or copies at the speed of the disk."""
    if hasattr(os, "copy_file_range"):
        try:
            if copied := os.copy_file_range(source, out, length, at):
                return copied
        except OSError as error:
            if error.errno not in _NO_COPY:
                raise
    data = os.pread(source, min(length, _CHUNK), at)
    write_all(out, data)
    return len(data)
