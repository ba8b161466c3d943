"""Where images come from: files, folders and lists of paths, as one ordered stream."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vggfeat.errors import VggfeatError
from vggfeat.sources.base import ImageRef, Source
from vggfeat.sources.files import Skipped, expand, missing
from vggfeat.sources.lists import paths_in

STDIN = "-"

__all__ = ["STDIN", "ImageRef", "Inputs", "Source", "open_inputs"]


@dataclass
class Inputs:
    """All images of a run, in order, each once for each time it is named."""

    names: Sequence[str]  # as the user gave them
    images: Iterable[ImageRef]
    total: int | None  # None while a list is still being read
    skipped: Skipped = field(default_factory=Skipped)
    taken: int = 0  # how many were handed out so far

    def __iter__(self) -> Iterator[ImageRef]:
        for image in self.images:
            self.taken += 1
            yield image


def open_inputs(names: Sequence[str], *, nul_separated: bool = False) -> Inputs:
    """List the images that files, folders and `-` (a list of paths on stdin) stand for.

    Folders are listed now, so that the number of images is known; a list on stdin is read as
    it comes, so that a pipeline flows.

    Raises:
        VggfeatError: a named file or folder does not exist. (One on a list that does not
            exist is a failed image: the list is data.)
    """
    for name in names:
        if name != STDIN and missing(name):
            raise VggfeatError(f"{name}: no such file or folder")
    skipped = Skipped()

    def images() -> Iterator[ImageRef]:
        for name in names:
            if name != STDIN:
                yield from expand(name, skipped)
                continue
            for path in paths_in(sys.stdin.buffer, b"\0" if nul_separated else b"\n"):
                yield from expand(path, skipped)

    if STDIN in names:
        return Inputs(names, images(), None, skipped)
    listed = list(images())
    return Inputs(names, listed, len(listed), skipped)
