"""What is to be done about each image of a run, and what has become of it, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from natsort import natsorted

from vggfeat.errors import ImageError, VggfeatError
from vggfeat.hidden import Hidden
from vggfeat.outcome import Failure, Stamp
from vggfeat.sinks.known import CHANGED, DOUBTFUL, Kept, Known
from vggfeat.sources import ImageRef
from vggfeat.sources.unreachable import check_reachable

MOVED, TOUCHED = AS_GOOD = "moved", "touched"


class Knows(Protocol):
    """What is known of images: `Known`, or several of those."""

    @property
    def contents(self) -> Container[str]: ...

    @property
    def sizes(self) -> Container[int]: ...

    def why_not(self, name: str, stamp: Stamp | None) -> str: ...

    def is_of(self, name: str, sha256: str) -> bool: ...


def why(image: ImageRef, known: Knows) -> str:
    """Why an image is to be looked at, in a word or some; one of `AS_GOOD` if its row is there."""
    stamp = image.stamp()
    reason = known.why_not(image.name, stamp)
    if stamp is None or stamp.size not in known.sizes:
        return reason
    try:
        data = image.read().data
    except (OSError, ImageError):
        return reason
    sha256 = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else ""
    if sha256 not in known.contents:
        return CHANGED if reason == DOUBTFUL else reason
    return TOUCHED if known.is_of(image.name, sha256) else MOVED


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
        self._hidden = Hidden()

    def unknown(self, images: Iterable[ImageRef]) -> Iterator[ImageRef]:
        """The images that are to be looked at."""
        for image in images:
            # Where storage is far away, a stamp takes as long as a small file.
            known = self._known.has(image.name)
            found = self._known.of(image.name, image.stamp()) if known else None
            if self._strict and isinstance(found, Failure):
                raise refused(found)
            self._places.append(found)
            self._names.add(image.name)
            self._hidden.look(image, self._names)
            if found is None:
                yield image

    def why(self, image: ImageRef) -> str:
        """As `why`."""
        return why(image, self._known)

    def gone(self, names: Iterable[str]) -> list[str]:
        """Which of some names are not among the images, in natural order."""
        return natsorted(set(names) - self._names)

    def moves(self) -> int:
        """How many rows would stand before the one that they follow."""
        rows = [place.row for place in self._places if isinstance(place, Kept)]
        return sum(after < before for before, after in pairwise(rows))

    def check_none_hidden(self, done: Iterable[Kept | Failure] = ()) -> None:
        """See that images which lose their row have not merely got out of sight.

        Args:
            done: what has become of those that were looked at.

        Raises:
            VggfeatError: what they are in cannot be read.
        """
        failed = {item.name for item in done if isinstance(item, Failure)}
        lost = {name for name in self._known.rows if name not in self._names or name in failed}
        check_reachable(lost)
        self._hidden.check(lost)

    def merged(self, done: Sequence[Kept | Failure]) -> list[Kept | Failure]:
        """What has become of each image.

        Args:
            done: likewise, of each that was handed out.
        """
        rest = iter(done)
        return [next(rest) if place is None else place for place in self._places]


def refused(failure: Failure) -> VggfeatError:
    """What ends a strict run."""
    return VggfeatError(f"{failure.name}: {failure.reason} (--strict)")
