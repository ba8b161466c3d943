"""Where images come from: files, folders, archives, tables and lists, here and at addresses."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vggfeat.sources.again import ref
from vggfeat.sources.base import ImageRef, Source
from vggfeat.sources.files import Skipped
from vggfeat.sources.lists import paths_in
from vggfeat.sources.named import (
    Found,
    check_there,
    found_at,
    found_on_list,
    images_of,
    is_archive,
)

STDIN = "-"

__all__ = ["STDIN", "ImageRef", "Inputs", "Source", "open_inputs", "ref"]


@dataclass
class Inputs:
    """All images of a run, in order, each once for each time it is named."""

    names: Sequence[str]  # as the user gave them
    images: Iterable[ImageRef]
    total: int | None  # None where only reading a list or an archive tells
    skipped: Skipped = field(default_factory=Skipped)
    taken: int = 0  # how many were handed out so far

    def __iter__(self) -> Iterator[ImageRef]:
        for image in self.images:
            self.taken += 1
            yield image


@dataclass(frozen=True)
class _Images:
    """Images that can be gone through again, though only reading archives tells of them."""

    found: Sequence[Found]
    skipped: Skipped

    def __iter__(self) -> Iterator[ImageRef]:
        return images_of(self.found, self.skipped)


def open_inputs(
    names: Sequence[str], *, nul_separated: bool = False, column: str | None = None
) -> Inputs:
    """List the images that files, folders, archives, tables, patterns of them, their addresses,
    and `-` (a list of those on stdin) stand for.

    Folders are listed now, so that the number of images is known; a list on stdin and an archive
    are read as they come, so that a pipeline flows.

    Args:
        column: of tables, which holds the images; None to find out.

    Raises:
        VggfeatError: a named file or folder does not exist, or an address cannot be listed. (One
            on a list that does not exist is a failed image: the list is data.)
        UsageError: then, or when its turn comes: it is not clear which column of a table to take.
    """
    skipped = Skipped()
    found = list_found(names, skipped, nul_separated=nul_separated, column=column)
    if STDIN in names:
        return Inputs(names, images_of(found, skipped), None, skipped)
    listed = list(found)
    if any(map(is_archive, listed)):
        return Inputs(names, _Images(listed, skipped), None, skipped)
    return Inputs(names, list(images_of(listed, skipped)), len(listed), skipped)


def list_found(
    names: Sequence[str], skipped: Skipped, *, nul_separated: bool, column: str | None
) -> Iterator[Found]:
    """The images and archives that names stand for, as they are asked for.

    Raises as `open_inputs` does.
    """
    for name in names:
        if name != STDIN:
            check_there(name)

    def found() -> Iterator[Found]:
        for name in names:
            if name != STDIN:
                yield from found_at(name, skipped, column)
                continue
            for path in paths_in(sys.stdin.buffer, b"\0" if nul_separated else b"\n"):
                yield from found_on_list(path, skipped, column)

    return found()
