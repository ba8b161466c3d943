"""What a name stands for: a file, a folder, an archive, a table, or a pattern of those."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias, TypeGuard, cast

from vggfeat.address import is_address, shown
from vggfeat.errors import VggfeatError
from vggfeat.remote import filesystem
from vggfeat.sources import listing
from vggfeat.sources.base import Failing, ImageRef
from vggfeat.sources.files import expand, missing
from vggfeat.sources.kinds import is_http, is_image, kind_of
from vggfeat.sources.objects import RemoteFile
from vggfeat.sources.skipped import Skipped
from vggfeat.sources.table import Table
from vggfeat.sources.tar import Tar
from vggfeat.sources.zip import Zip

Archive: TypeAlias = "Tar | Zip | Table"
Found: TypeAlias = "ImageRef | Archive"


def check_there(name: str) -> None:
    """See that something may be at a name. Raises VggfeatError."""
    for one in braces_expanded(name):
        if is_address(one):
            filesystem(one)
        elif missing(one):
            raise VggfeatError(f"{one}: no such file or folder")


def found_at(name: str, skipped: Skipped, column: str | None = None) -> Iterator[Found]:
    """The images and archives that a name stands for, in order. Folders are listed on the way.

    Args:
        skipped: counts what is passed over.
        column: of tables.

    Raises:
        VggfeatError: an address cannot be listed.
    """
    for one in braces_expanded(name):
        if is_address(one) and listing.is_pattern(one):
            for file in listing.matches(one, skipped):
                yield archive_at(file.address, column) or file
        else:
            yield from _found_at(one, skipped, column)


def found_on_list(name: str, skipped: Skipped, column: str | None = None) -> Iterator[Found]:
    """The same of a line of a list, which is data: what cannot be read fails, and is no pattern."""
    try:
        yield from _found_at(name, skipped, column)
    except VggfeatError as error:
        told = shown(name)
        yield Failing(told, str(error).removeprefix(f"{told}: "))


def is_archive(found: Found) -> TypeGuard[Archive]:
    """Whether what was found holds images, and is none."""
    return isinstance(found, (Tar, Zip, Table))


def images_of(found: Iterable[Found], skipped: Skipped) -> Iterator[ImageRef]:
    """All images, with those in archives in the place of the archives."""
    for item in found:
        if is_archive(item):
            yield from item.images(skipped)
        else:
            yield cast("ImageRef", item)


def archive_at(name: str, column: str | None) -> Archive | None:
    """The archive or table at a path or address, by its suffix."""
    kind = kind_of(name)
    if kind == "tar":
        return Tar(name)
    if kind == "zip":
        return Zip(name)
    return Table(name, column) if kind == "table" else None


def braces_expanded(name: str) -> Iterator[str]:
    """`{00..11}` and `{a,b}` as shells and webdataset have them; a file of that very name wins."""
    if "{" not in name or (not is_address(name) and not missing(name)):
        yield name
        return
    from braceexpand import braceexpand

    try:
        yield from braceexpand(name, escape=False)
    except ValueError:  # they are not balanced
        yield name


def _found_at(name: str, skipped: Skipped, column: str | None) -> Iterator[Found]:
    archive = archive_at(name, column)
    if not is_address(name):
        if archive and os.path.isfile(name):
            yield archive
        else:
            yield from expand(name, skipped)
        return
    filesystem(name)
    if archive:
        yield archive
    elif is_http(name) or is_image(name) or not listing.is_folder(name):
        yield RemoteFile(name)
    else:
        yield from listing.images_below(name, skipped)
