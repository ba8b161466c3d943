"""What a source hands on: a named image that has not been read yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from vggfeat.preprocess import ImageData


class Source(NamedTuple):
    """An image that has been read, and the stamps its file had then (0 where there is none)."""

    data: ImageData
    size: int = 0
    mtime_ns: int = 0


class ImageRef(Protocol):
    """One image of a run."""

    @property
    def name(self) -> str:
        """The path as it will stand in the index."""

    def read(self) -> Source:
        """Read it whole. Raises OSError or ImageError."""
