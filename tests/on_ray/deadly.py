"""Images over which processes die."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.outcome import Stamp
from vggfeat.preprocess import ImageData, Preprocessing
from vggfeat.sources import Source


class Deadly(NamedTuple):
    """An image whose reading ends the process."""

    name: str

    def stamp(self) -> Stamp | None:
        return Stamp(1, 1)

    def read(self) -> Source:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True)
class Fragile(Preprocessing):
    """A decoder that ends its process over one image.

    Attributes:
        deadly: its sha256.
    """

    deadly: str = ""

    def __call__(self, image: ImageData) -> NDArray[np.uint8]:
        if isinstance(image, bytes) and hashlib.sha256(image).hexdigest() == self.deadly:
            os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(60)  # a decoder that crashes does not go on while Ray writes its log
        return super().__call__(image)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
