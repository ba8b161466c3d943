"""What a worker does to one image: recognise or preprocess it, then the engine's image stage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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
class Preparation:
    """How images are prepared; what is wrong with one is a failure."""

    reading: Reading
    preprocessing: Preprocessing
    engine: Engine
    contents: Contents
    suspects: Suspects
    pace: Pace

    def __call__(self, being_read: BeingRead) -> Ready:
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
        with self.pace.spending("image_stage"):
            arrays = self.engine.image_stage(pixels)
        return Prepared(image.name, source.stamp, sha256, arrays)

    def _preprocessed(self, name: str, source: Source) -> NDArray[np.uint8]:
        if name in self.suspects.names and isinstance(source.data, bytes):
            return apart.preprocess_apart(source.data, self.preprocessing)
        with self.suspects.decoding(name):
            return self.preprocessing(source.data)


def too_long(being_read: BeingRead) -> Ready:
    """What becomes of an image whose preparation does not end."""
    image = being_read.image
    return Failure(image.name, apart.TOO_LONG, image.stamp())
