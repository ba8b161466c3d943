"""Archives and folders that cannot be read for the moment: what was in them is not gone."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator

from vggfeat.errors import VggfeatError
from vggfeat.sources import ImageRef
from vggfeat.sources.base import Failing
from vggfeat.sources.files import UnreadableFolder
from vggfeat.trouble import describe

# In the words of the system, and of stores: what was deleted is gone.
_GONE = (os.strerror(errno.ENOENT), describe(FileNotFoundError()))
_RANGE = re.compile(r" \(rows [\d,]+ to [\d,]+\)$")  # of a table


class Hidden:
    """What a run has met of them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, Container[str]]] = {}

    def look(self, image: ImageRef, seen: Container[str]) -> None:
        """Take note of an image, if it stands in the place of an archive's or a folder's.

        Args:
            seen: the names of the images that were met, and will be, where that one was.
        """
        if isinstance(image, (Failing, UnreadableFolder)) and not image.reason.endswith(_GONE):
            place = _RANGE.sub("", image.name).rstrip("/")
            self._found[place] = image.reason, seen

    def check(self, lost: Iterable[str]) -> None:
        """See that images have not merely got out of sight.

        Args:
            lost: the names of images whose rows would go.

        Raises:
            VggfeatError: one of them was in what cannot be read.
        """
        if not self._found:
            return
        hidden = Counter(place for name in lost for place in self._above(name))
        for place, images in hidden.items():
            rows = "the row of an image" if images == 1 else f"the rows of {images:,} images"
            raise VggfeatError(
                f"{place}: {self._found[place][0]}; {rows} in it would be lost: run again when it "
                "can be read, or drop what is lost with --fresh"
            )

    def _above(self, name: str) -> Iterator[str]:
        """The places that cannot be read in which an image was that nobody has met."""
        for found in re.finditer("/", name):
            place = name[: found.start()]
            if place in self._found and name not in self._found[place][1]:
                yield place
