"""Image files and folders of them.

Folders are walked in natural order (`img2` before `img10`), symbolic links followed, loops
cut. Names that are not valid in the file system's encoding pass through as Python's
surrogate escapes and come out as the same bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from natsort import natsort_keygen

from vggfeat.errors import ImageError, TransientImageError, describe_os_error
from vggfeat.outcome import Stamp
from vggfeat.sources.base import Source
from vggfeat.sources.kinds import SUFFIXES, kind_of
from vggfeat.sources.skipped import Skipped

__all__ = ["MAX_BYTES", "SUFFIXES", "LocalFile", "Skipped", "expand", "missing"]

MAX_BYTES = 1 << 30
CHANGED = "it changed while it was read"

_Place = tuple[int, int]  # device and inode

_natural = natsort_keygen()


class LocalFile(NamedTuple):
    """An image file on this machine."""

    name: str

    def stamp(self) -> Stamp | None:
        try:
            return _stamp(os.stat(self.name))
        except (OSError, ValueError):  # ValueError: a NUL within the path
            return None

    def read(self) -> Source:
        if not stat.S_ISREG(os.stat(self.name).st_mode):
            raise ImageError("not a regular file")
        with open(self.name, "rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > MAX_BYTES:
                raise too_large(before.st_size)
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
        if len(data) != before.st_size or _stamp(before) != _stamp(after):
            raise TransientImageError(CHANGED)
        return Source(data, _stamp(after))


def too_large(size: int) -> ImageError:
    """What is wrong with an image of so many bytes."""
    return ImageError(f"too large: {size:,} bytes, the limit is {MAX_BYTES:,}")


def _stamp(info: os.stat_result) -> Stamp:
    return Stamp(info.st_size, info.st_mtime_ns)


class UnreadableFolder(NamedTuple):
    """A folder whose images cannot be known: one failure in their place."""

    name: str
    error: OSError

    def stamp(self) -> Stamp | None:
        return None

    @property
    def reason(self) -> str:
        return f"the folder cannot be listed: {describe_os_error(self.error)}"

    def read(self) -> Source:
        raise ImageError(self.reason)


def missing(path: str) -> bool:
    """Whether nothing is at the path, not even a broken link. An odd path is not missing."""
    try:
        return not os.path.lexists(path)
    except ValueError:
        return False


def expand(path: str, skipped: Skipped) -> Iterator[LocalFile | UnreadableFolder]:
    """The images at a path: the file itself, or those below the folder in natural order."""
    # What is to come, in reverse, with the folders above each folder.
    ahead: list[tuple[str, frozenset[_Place] | None]] = [
        (path, frozenset() if os.path.isdir(path) else None)
    ]
    while ahead:
        path, above = ahead.pop()
        if above is None:
            yield LocalFile(path)
            continue
        try:
            info = os.stat(path)
            here = (info.st_dev, info.st_ino)
            if here in above:
                skipped.loops += 1
                continue
            with os.scandir(path) as scan:
                entries = sorted(scan, key=_order, reverse=True)
        except OSError as error:
            yield UnreadableFolder(path, error)
            continue
        for entry in entries:
            inside = os.path.join(path, entry.name)
            if entry.name.startswith("."):
                skipped.hidden += 1
            elif _is_folder(entry):
                ahead.append((inside, above | {here}))
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and _may_be_read(entry):
                ahead.append((inside, None))
            elif kind_of(entry.name):
                skipped.archives += 1
            else:
                skipped.not_images += 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Folders and links to them. A link to itself, or one into a closed folder, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _order(entry: os.DirEntry[str]) -> tuple[object, str]:
    return order(entry.name)


def order(name: str) -> tuple[object, str]:
    """By what the entries of a folder are sorted."""
    # The name itself decides between names that are naturally equal: `1.jpg` and `01.jpg`.
    return _natural(name), name


def _may_be_read(entry: os.DirEntry[str]) -> bool:
    """Regular files, and broken links: an image that is gone is a failure, not a silence."""
    return entry.is_symlink() or entry.is_file()
