"""What is to be done about each image of a run, and what has become of it, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from natsort import natsorted

from vggfeat.errors import ImageError, VggfeatError
from vggfeat.outcome import Failure
from vggfeat.sinks.known import NEW, Kept, Known
from vggfeat.sources import ImageRef
from vggfeat.sources.files import UnreadableFolder

MOVED, TOUCHED = AS_GOOD = "moved", "touched"


class Plan:
    """Goes through the images once, and hands out those of which nothing is known.

    Args:
        known: what earlier runs have made.
        strict: a failure that is known already ends it.
    """

    def __init__(self, known: Known, *, strict: bool) -> None:
        self._known = known
        self._strict = strict
        self._places: list[Kept | Failure | None] = []
        self._names: set[str] = set()

    def unknown(self, images: Iterable[ImageRef]) -> Iterator[ImageRef]:
        """The images that are to be looked at.

        Raises:
            VggfeatError: a folder cannot be listed, and rows of images below it would be lost.
        """
        for image in images:
            found = self._known.of(image.name, image.stamp())
            if self._strict and isinstance(found, Failure):
                raise refused(found)
            if isinstance(image, UnreadableFolder):
                self._check_nothing_is_lost(image)
            self._places.append(found)
            self._names.add(image.name)
            if found is None:
                yield image

    def _check_nothing_is_lost(self, folder: UnreadableFolder) -> None:
        if rows := self._known.under(folder.name):
            raise VggfeatError(
                f"{folder.name}: {folder.reason}: {rows:,} rows of images below it would be lost; "
                "run again when it can be read, or drop them with --fresh"
            )

    def why(self, image: ImageRef) -> str:
        """Why an image is to be looked at, in a word; one of `AS_GOOD` if its row is there."""
        stamp = image.stamp()
        why = self._known.why_not(image.name, stamp)
        if stamp is None or stamp.size not in self._known.sizes:
            return why
        try:
            data = image.read().data
        except (OSError, ImageError):
            return why
        if isinstance(data, bytes) and hashlib.sha256(data).hexdigest() in self._known.contents:
            return MOVED if why == NEW else TOUCHED
        return why

    def gone(self, names: Iterable[str]) -> list[str]:
        """Which of some names are not among the images, in natural order."""
        return natsorted(set(names) - self._names)

    def merged(self, done: Iterable[Kept | Failure]) -> list[Kept | Failure]:
        """What has become of each image.

        Args:
            done: likewise, of each that was handed out.
        """
        rest = iter(done)
        return [next(rest) if place is None else place for place in self._places]


def refused(failure: Failure) -> VggfeatError:
    """What ends a strict run."""
    return VggfeatError(f"{failure.name}: {failure.reason} (--strict)")
