"""The headers of tar archives, one after the other."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from vggfeat.sources.forward import Forward


def members(file: Forward) -> Iterator[tarfile.TarInfo]:
    """The headers of a tar archive, in order.

    Raises:
        tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError: it is damaged, or it has
            not the mark that ends a tar.
    """
    tar = tarfile.TarFile(fileobj=file, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
    while True:
        while member := tar.next():
            yield member
            tar.members.clear()  # type: ignore[attr-defined]  # else it would keep them all
        if len(file.last) < tarfile.BLOCKSIZE:
            raise EOFError
        if any(file.last):
            raise tarfile.ReadError("what should be a header is none")
        # `cat a.tar b.tar` makes an archive of which most tools see the first half.
        if not _another_follows(file):
            return
        tar.offset = file.tell()


def _another_follows(file: Forward) -> bool:
    """Go behind the end of an archive to where another one begins: only zeros are between."""
    while len(block := file.take(tarfile.BLOCKSIZE)) == tarfile.BLOCKSIZE:
        if any(block):
            file.give_back(block)
            return _is_header(block)
    return False


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
