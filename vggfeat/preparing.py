"""What a worker does to one image: read and recognise or preprocess it, then the image stage.

The first may as well be done elsewhere, by another machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from vggfeat import apart
from vggfeat.errors import ImageError, TransientImageError, describe_os_error
from vggfeat.outcome import Failure, Recognised, Stamp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vggfeat.engines import Engine
    from vggfeat.pace import Pace
    from vggfeat.preprocess import Preprocessing
    from vggfeat.reading import BeingRead, Reading
    from vggfeat.sources import ImageRef, Source
    from vggfeat.suspects import Suspects


class Decoded(NamedTuple):
    """An image as the network sees it: uint8 `[size,size,3]`, RGB."""

    name: str
    stamp: Stamp
    sha256: str
    pixels: NDArray[np.uint8]


class Prepared(NamedTuple):
    """An image that is ready for its batch."""

    name: str
    stamp: Stamp
    sha256: str
    arrays: tuple[NDArray[Any], ...]


Ready: TypeAlias = "Prepared | Recognised | Failure"

# By image: sha256 of files that need no row, since they have one; None where files are not to be
# told by their content.
Contents: TypeAlias = "Callable[[ImageRef], Container[str] | None]"


def unknown(image: ImageRef) -> None:
    """The contents of a run that tells no file by its content."""


@dataclass(frozen=True)
class Decoding:
    """How images become pixels; what is wrong with one is a failure."""

    reading: Reading
    preprocessing: Preprocessing
    contents: Contents
    suspects: Suspects
    pace: Pace

    def __call__(self, being_read: BeingRead) -> Decoded | Recognised | Failure:
        image = being_read.image
        try:
            # Where a file is here already, whoever takes it may have to wait for a processor.
            with nullcontext() if being_read.is_here else self.pace.waiting("reading"):
                source = self.reading.result(being_read)
        except OSError as error:
            return Failure(image.name, describe_os_error(error))
        except (ImageError, ValueError) as error:  # ValueError: a NUL within the path
            return Failure(image.name, str(error))
        sha256 = ""
        contents = self.contents(image)
        if contents is not None and isinstance(source.data, bytes):
            sha256 = hashlib.sha256(source.data).hexdigest()
            if sha256 in contents:
                return Recognised(image.name, source.stamp, sha256)
        try:
            with self.pace.spending("decoding"):
                pixels = self._preprocessed(image.name, source)
        except TransientImageError as error:
            return Failure(image.name, str(error))
        except ImageError as error:
            return Failure(image.name, str(error), source.stamp)
        return Decoded(image.name, source.stamp, sha256, pixels)

    def _preprocessed(self, name: str, source: Source) -> NDArray[np.uint8]:
        if name in self.suspects.names and isinstance(source.data, bytes):
            return apart.preprocess_apart(source.data, self.preprocessing)
        with self.suspects.decoding(name):
            return self.preprocessing(source.data)


class Elsewhere(Protocol):
    """Where images are decoded, if not by the workers of this process.

    Attributes:
        images: how many are handed over at once.
        calls: how many may go on side by side.
    """

    images: int
    calls: int

    def __call__(self, images: Sequence[ImageRef]) -> Sequence[Decoded | Failure]:
        """What becomes of images, in order, when all are done. For any thread."""


@dataclass(frozen=True)
class Preparation:
    """How images are made ready for their batch, by an engine."""

    engine: Engine
    pace: Pace

    def here(self, decoding: Decoding, being_read: BeingRead) -> Ready:
        """An image that is decoded by this thread."""
        return self._staged(decoding(being_read))

    def elsewhere(
        self, elsewhere: Elsewhere, contents: Contents, images: Sequence[ImageRef]
    ) -> list[Ready]:
        """Images that this thread waits for."""
        with self.pace.spending("decoding"):
            found = elsewhere(images)
        told = zip(map(contents, images), found, strict=True)
        return [self._staged(_recognised(item, known)) for known, item in told]

    def _staged(self, item: Decoded | Recognised | Failure) -> Ready:
        if not isinstance(item, Decoded):
            return item
        with self.pace.spending("image_stage"):
            arrays = self.engine.image_stage(item.pixels)
        return Prepared(item.name, item.stamp, item.sha256, arrays)


def _recognised(
    item: Decoded | Failure, contents: Container[str] | None
) -> Decoded | Recognised | Failure:
    if isinstance(item, Decoded) and contents is not None and item.sha256 in contents:
        return Recognised(item.name, item.stamp, item.sha256)
    return item


def too_long(being_read: BeingRead) -> Failure:
    """What becomes of an image whose preparation does not end."""
    image = being_read.image
    return Failure(image.name, apart.TOO_LONG, image.stamp())
