"""How fast the engines are on this machine: a quick look, for users."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from vggfeat import engines, pipeline
from vggfeat.activations import Activation
from vggfeat.outcome import Outcome, Stamp
from vggfeat.preprocess import Preprocessing
from vggfeat.sources import Source
from vggfeat.vgg16 import SIZE
from vggfeat.weights import Weights


class Measurement(NamedTuple):
    """One engine's figures.

    Attributes:
        ready: seconds to load it and compute a first image.
        rate: images a second after that, without decoding.
    """

    engine: str
    ready: float
    rate: float


def measure(engine: str, weights: Weights, seconds: float) -> Measurement:
    """Run an engine on images that need no decoding, for so many seconds.

    Raises:
        VggfeatError: the engine cannot be loaded.
    """
    started = time.monotonic()
    made = engines.create(engine, weights, [Activation("fc7")])
    next(_batches(made, images=1))
    ready = time.monotonic() - started
    batches = _batches(made)
    next(batches)  # from here on all threads are at work
    started, images = time.monotonic(), 0
    for batch in batches:
        images += len(batch)
        if time.monotonic() - started > seconds:
            break
    batches.close()
    return Measurement(engine, ready, images / (time.monotonic() - started))


class _Crop(NamedTuple):
    name: str = "grey"

    def stamp(self) -> Stamp | None:
        return None

    def read(self) -> Source:
        return Source(np.full((SIZE, SIZE, 3), 128, np.uint8))


def _batches(
    engine: engines.Engine, images: int | None = None
) -> Generator[list[Outcome], None, None]:
    """Batches of so many images, or without end."""
    crops = itertools.repeat(_Crop()) if images is None else [_Crop()] * images
    return pipeline.run(crops, Preprocessing(), engine)
