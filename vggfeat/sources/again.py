"""Images found again by the names under which they stand in an index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache

from vggfeat.address import is_address
from vggfeat.outcome import Stamp
from vggfeat.sources.base import ImageRef
from vggfeat.sources.kinds import kind_of
from vggfeat.sources.members import stamp_of_archive
from vggfeat.sources.skipped import Skipped
from vggfeat.sources.table import Table, image_at
from vggfeat.sources.tar import Tar, is_plain
from vggfeat.sources.zip import Zip


def ref(name: str) -> ImageRef | None:
    """The image of a name, where it can be opened by itself.

    Args:
        name: a path, an address, or of a member: `photos.zip/a.jpg`, `shard.tar/a.jpg`,
            `table.parquet/17`.

    Returns:
        None for what only reading all before it would reach, in a tar that is compressed or at an
        address, and for members that are not there. A file need not be there.
    """
    for archive, member in _cut(name):
        if not is_address(archive) and not os.path.isfile(archive):
            continue
        kind = kind_of(archive)
        if kind == "table":
            return _row(archive, member)
        if kind == "zip" or (kind == "tar" and is_plain(archive)):
            return _members(archive, stamp_of_archive(archive)).get(name)
        return None
    return image_at(name)


def _cut(name: str) -> Iterator[tuple[str, str]]:
    """Each way to take the beginning of a name for an archive."""
    place = name.find("/")
    while place >= 0:
        if kind_of(name[:place]):
            yield name[:place], name[place + 1 :]
        place = name.find("/", place + 1)


@lru_cache(maxsize=2)
def _members(archive: str, stamp: Stamp | None) -> Mapping[str, ImageRef]:
    """The images of an archive by name, as long as it is the same."""
    opened = Zip(archive) if kind_of(archive) == "zip" else Tar(archive)
    return {image.name: image for image in opened.images(Skipped())}


def _row(table: str, row: str) -> ImageRef | None:
    if not row.isdecimal():
        return None
    name = f"{table}/{row}"
    images = Table(table, None, int(row), 1).images(Skipped())
    return next((image for image in images if image.name == name), None)
