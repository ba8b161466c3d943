"""Folders and patterns at addresses: what is listed there, in the order of local folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from vggfeat.errors import UsageError, VggfeatError
from vggfeat.outcome import Stamp
from vggfeat.remote import describe, filesystem, retrying, shown
from vggfeat.sources.files import order
from vggfeat.sources.kinds import is_hidden, is_http, is_image, kind_of
from vggfeat.sources.objects import RemoteFile, stamp_of
from vggfeat.sources.skipped import Skipped

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

A = TypeVar("A")
_Entry: TypeAlias = "tuple[str, Stamp | None]"

_MAGIC = re.compile(r"[*?\[]")


def is_pattern(address: str) -> bool:
    """Whether an address has `*`, `?` or `[...]` in it, which only servers take as it is."""
    return not is_http(address) and bool(_MAGIC.search(address))


def is_folder(address: str) -> bool:
    """Whether an address is that of a folder, or of what keys below it begin with.

    Raises:
        VggfeatError: nothing is there, or it cannot be seen.
    """
    files, path = filesystem(address)
    if not path.strip("/") and "s3" in files.protocol:
        raise UsageError(f"{shown(address)}: name a bucket")
    found: dict[str, Any] = _told(address, lambda: files.info(path))
    return found.get("type") == "directory"


def images_below(address: str, skipped: Skipped) -> Iterator[RemoteFile]:
    """The images below a folder, in natural order. Raises VggfeatError: it cannot be listed."""
    root = address.rstrip("/")
    for inside, stamp in _sorted(address, root, deep=True):
        if is_hidden(inside):
            skipped.hidden += 1
        elif is_image(inside):
            yield RemoteFile(f"{root}/{inside}", stamp)
        elif kind_of(inside):
            skipped.archives += 1
        else:
            skipped.not_images += 1


def matches(pattern: str, skipped: Skipped) -> Iterator[RemoteFile]:
    """What fits a pattern, in natural order: `*` within a name, `**` through folders.

    Raises:
        VggfeatError: nothing does, or it cannot be listed.
    """
    from fsspec.utils import glob_translate

    magic = _MAGIC.search(pattern)
    root = pattern[: magic.start() if magic else None].rpartition("/")[0]
    rest = pattern[len(root) + 1 :]
    fits = re.compile(glob_translate(rest))
    if "://" not in root:
        raise UsageError(f"{shown(pattern)}: name the bucket without {magic and magic[0]}")
    found = False
    for inside, stamp in _sorted(pattern, root, deep="/" in rest or "**" in rest):
        if fits.match(inside):
            found = True
            if is_hidden(inside) and not is_hidden(rest):
                skipped.hidden += 1
            else:
                yield RemoteFile(f"{root}/{inside}", stamp)
    if not found:
        raise VggfeatError(f"{shown(pattern)}: no such file")


def _sorted(address: str, root: str, *, deep: bool) -> list[_Entry]:
    """Files below a root, as paths from there, as folders are walked through."""
    files, path = filesystem(root)
    path = path.rstrip("/")
    listed = _told(address, lambda: list(_below(path, _listed(files, path, deep=deep))))
    listed.sort(key=lambda entry: [order(part) for part in entry[0].split("/")])
    return listed


def _below(path: str, listed: Iterable[_Entry]) -> Iterator[_Entry]:
    for name, stamp in listed:
        inside = name[len(path) + 1 :] if path else name.lstrip("/")
        if inside and not inside.endswith("/"):  # some stores keep folders as empty objects
            yield inside, stamp


def _listed(files: AbstractFileSystem, path: str, *, deep: bool) -> Iterable[_Entry]:
    """The files in a folder, or all below it, by their whole paths."""
    if path and hasattr(files, "_iterdir") and hasattr(files, "split_path"):
        return _pages_of_s3(files, path, deep=deep)
    found = files.find(path, detail=True).values() if deep else files.ls(path, detail=True)
    return ((info["name"], stamp_of(info)) for info in found if info["type"] == "file")


def _pages_of_s3(files: Any, path: str, *, deep: bool) -> list[_Entry]:
    """Page by page: what s3fs tells of a million objects would take more than a gigabyte."""
    from fsspec.asyn import sync

    bucket, key, _ = files.split_path(path)
    delimiter, prefix = "" if deep else "/", f"{key}/" if key else ""

    async def collected() -> list[_Entry]:
        return [
            (info["name"], stamp_of(info))
            async for info in files._iterdir(bucket, delimiter=delimiter, prefix=prefix)
            if info["type"] == "file"
        ]

    found: list[_Entry] = sync(files.loop, collected)
    return found


def _told(address: str, ask: Callable[[], A]) -> A:
    """What a store answers. Raises VggfeatError."""
    try:
        return retrying(ask, where=address)
    except VggfeatError:
        raise
    except Exception as error:
        raise VggfeatError(f"{shown(address)}: {describe(error)}") from error
