"""The features of images one by one, where an image that fails stops nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.outcome import Failure
from vggfeat.sources import ImageRef

if TYPE_CHECKING:
    from vggfeat.extractor import Extractor


class Vector(NamedTuple):
    """An image's features, of the extractor's first layer: float32, of its shape."""

    name: str
    numbers: NDArray[np.float32]


def each(extractor: Extractor, images: Iterable[ImageRef]) -> Iterator[Vector | Failure]:
    """What becomes of each image, in order, as batches are done.

    Raises:
        VggfeatError: the engine cannot go on.
    """
    for outcome in extractor.each(images):
        if isinstance(outcome, Failure):
            yield outcome
        else:
            yield Vector(outcome.name, np.asarray(outcome.features[0], np.float32))
