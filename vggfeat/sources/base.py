"""What a source hands on: a named image that has not been read yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from vggfeat.outcome import Stamp

if TYPE_CHECKING:
    from vggfeat.preprocess import ImageData


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
