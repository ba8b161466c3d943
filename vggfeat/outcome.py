"""What becomes of an image: a row of features, or a failure that stands in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# How the features of an image may be given, beside as the network gives them.
L2 = "l2"
NORMS = (L2,)
FLOAT32, FLOAT16 = DTYPES = ("float32", "float16")

Numbers: TypeAlias = "NDArray[np.floating[Any]]"


class Stamp(NamedTuple):
    """What tells without reading it whether a file has changed."""

    size: int
    mtime_ns: int


class Row(NamedTuple):
    """An image's features, by layer, and what its file was when it was read."""

    name: str
    stamp: Stamp
    sha256: str  # of the file's bytes
    features: tuple[Numbers, ...]


class Recognised(NamedTuple):
    """An image whose content has a row already, under whatever name."""

    name: str
    stamp: Stamp
    sha256: str


class Failure(NamedTuple):
    """An image that could not be read or decoded, with the reason in words.

    Its stamp is there where the reason lasts as long as the file is the same.
    """

    name: str
    reason: str
    stamp: Stamp | None = None


Outcome: TypeAlias = "Row | Recognised | Failure"
