"""What becomes of an image: a row of features, or a failure that stands in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Row(NamedTuple):
    """An image's features, and the stamps its file had when it was read."""

    name: str
    size: int
    mtime_ns: int
    features: NDArray[np.float32]


class Failure(NamedTuple):
    """An image that could not be read or decoded, with the reason in words."""

    name: str
    reason: str


Outcome: TypeAlias = "Row | Failure"
