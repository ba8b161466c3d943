"""The Python interface: images in memory or on disk in, an array of vectors out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vggfeat import engines, pipeline
from vggfeat.errors import ImageError
from vggfeat.outcome import Failure, Row, Stamp
from vggfeat.pipeline import check_counts
from vggfeat.preprocess import RESIZE, ImageData, Preprocessing
from vggfeat.sources import ImageRef, Source
from vggfeat.sources.files import LocalFile
from vggfeat.weights import Weights, choose

ImageLike: TypeAlias = "str | os.PathLike[str] | ImageData"


class Extractor:
    """A frozen VGG16 that turns images into vectors.

        extractor = Extractor(weights="vgg_16.ckpt", layer="fc7")
        vectors = extractor(["a.jpg", "b.jpg"])

    Args:
        weights: a name in the store, a file of any known form, or `Weights`; None for the
            default that the command would take.
        layer: `fc7`, `fc6` or `pool5`, each after its ReLU.
        engine: `auto`, `ncnn` or `tensorflow`.
        batch_size: images computed at once; None for what serves the engine best. It changes
            speed and memory, not the vectors.
        workers: threads that decode; None for as many as there are processors to use.
        resize: length of the smaller side before the central 224x224 is cut out, in pixels.
        fast_decode: shrink large JPEGs while they are decoded, which moves their pixels a little.

    Raises:
        WeightsError: no such weights, no VGG16, or the layer is not in them.
        UsageError: a setting that cannot be.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | Weights | None = None,
        layer: str = "fc7",
        *,
        engine: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        resize: int = RESIZE,
        fast_decode: bool = False,
    ) -> None:
        check_counts(batch_size, workers)
        self.preprocessing = Preprocessing(resize, fast_decode)
        self.weights = choose(weights)
        self.layer = layer
        self.batch_size = batch_size
        self.workers = workers
        self.engine = engines.create(engine, self.weights, layer)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image's features: `(4096,)` for the fc7 of a full-size VGG16."""
        return self.engine.shape

    def __call__(self, images: ImageLike | Iterable[ImageLike]) -> NDArray[np.float32]:
        """Features of images, in their order: float32 `[n,4096]`, or `[n,7,7,512]` of pool5.

        Args:
            images: one image or many. Each is a path, the bytes of an image file, a PIL
                image, or a uint8 array `[h,w]`, `[h,w,3]` (RGB) or `[h,w,4]` (RGBA). An array
                of 224x224x3 is taken as it is; whatever else is resized and center-cropped,
                because fc6 covers exactly the 7x7 positions that 224 pixels leave.

        Raises:
            ImageError: an image cannot be read; the message says which.
            TypeError: something is no image at all.
        """
        if _is_one_image(images):
            images = [images]  # type: ignore[list-item]
        refs = (_ref(number, image) for number, image in enumerate(images))  # type: ignore[arg-type]
        rows = []
        for outcomes in pipeline.run(
            refs, self.preprocessing, self.engine, self.batch_size, self.workers
        ):
            for outcome in outcomes:
                if isinstance(outcome, Failure):
                    raise ImageError(f"{outcome.name}: {outcome.reason}")
                if isinstance(outcome, Row):
                    rows.append(outcome.features)
        return np.stack(rows) if rows else np.empty((0, *self.shape), np.float32)


class _InMemory(NamedTuple):
    """An image that needs no reading."""

    name: str
    data: ImageData

    def stamp(self) -> Stamp | None:
        return None

    def read(self) -> Source:
        return Source(self.data)


def _ref(number: int, image: ImageLike) -> ImageRef:
    if isinstance(image, (str, os.PathLike)):
        return LocalFile(os.fspath(image))
    if isinstance(image, (bytes, Image.Image, np.ndarray)):
        return _InMemory(f"image {number}", image)
    raise TypeError(
        f"image {number} is {type(image).__name__}: give a path, the bytes of an image file, a "
        "PIL image or a uint8 array"
    )


def _is_one_image(images: object) -> bool:
    if isinstance(images, np.ndarray):
        return images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (1, 3, 4))
    return isinstance(images, (str, os.PathLike, bytes, Image.Image))
