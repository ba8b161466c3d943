"""What a source hands on: named images that have not been read yet, alone or in archives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vggfeat.errors import ImageError, TransientImageError
from vggfeat.outcome import Stamp

if TYPE_CHECKING:
    from vggfeat.preprocess import ImageData
    from vggfeat.sources.skipped import Skipped


class Source(NamedTuple):
    """An image that has been read, and the stamp its file had then."""

    data: ImageData
    stamp: Stamp = Stamp(0, 0)


class ImageRef(Protocol):
    """One image of a run."""

    @property
    def name(self) -> str:
        """The path as it will stand in the index."""

    def stamp(self) -> Stamp | None:
        """Its stamp at present, without reading it; None where it has none."""

    def read(self) -> Source:
        """Read it whole. Raises OSError or ImageError."""


class Failing(NamedTuple):
    """What cannot be read, and why: one failure in its place."""

    name: str
    reason: str
    may_pass: bool = False

    def stamp(self) -> Stamp | None:
        return None

    def read(self) -> Source:
        raise (TransientImageError if self.may_pass else ImageError)(self.reason)


class Unit(Protocol):
    """Images that belong together. It can be pickled."""

    @property
    def name(self) -> str:
        """What a user knows it by: its archive, or its first image."""

    def images(self, skipped: Skipped) -> Iterator[ImageRef]:
        """Its images, in order, opened as they are asked for.

        What cannot be read of it is one failing image of its own name, in place of the rest.

        Args:
            skipped: counts what is passed over.

        Raises:
            UsageError: it is a table, and it is not clear which column holds the images.
        """

    def inputs(self) -> Iterable[tuple[str, Stamp | None]]:
        """The files that it is made from, and their stamps at present."""
