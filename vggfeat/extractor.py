"""The Python interface: images in memory or on disk in, an array of vectors out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vggfeat import engines, pipeline
from vggfeat.activations import parse_all
from vggfeat.errors import ImageError
from vggfeat.finish import Finish
from vggfeat.outcome import FLOAT32, Failure, Recognised, Row, Stamp
from vggfeat.pipeline import check_counts
from vggfeat.preprocess import ImageData, preprocessing
from vggfeat.recipe import Recipe
from vggfeat.sources import ImageRef, Source, ref
from vggfeat.sources.files import LocalFile
from vggfeat.vgg16 import SIZE
from vggfeat.weights import Weights, choose

ImageLike: TypeAlias = "str | os.PathLike[str] | ImageData"


class Extractor:
    """A frozen VGG16 that turns images into vectors.

        extractor = Extractor(weights="vgg_16.ckpt", layer="fc7")
        vectors = extractor(["a.jpg", "b.jpg"])

    Args:
        weights: a name in the store, a file of any known form, or `Weights`; None for the
            default that the command would take.
        layer: what to compute, as `--layer` takes it: `fc7`, `conv5_3:linear`, `pool5:avg` ...,
            or several of them, which are computed in one pass, each once, in the network's order.
        engine: `auto`, `ncnn` or `tensorflow`.
        precision: what the network is computed in: `float32`, `tf32`, `bfloat16` or `float16`.
        devices: `all` GPUs, or their numbers: `0,1`. One that fails is dropped with a warning.
        batch_size: images that an engine or GPU computes at once; None for what serves it best.
            It changes speed and memory, and on a GPU the last bits of the vectors.
        workers: threads that decode; None for as many as there are processors to use.
        resize: length of the smaller side before the center is cut out, in pixels; None for 256
            in proportion to the size.
        size: side of the square that is cut out, in pixels: at least 32, and 224 for fc6 and on,
            which are averaged over the positions of a larger pool5.
        fast_decode: shrink large JPEGs while they are decoded, which moves their pixels a little.
        normalize: `l2` for rows of length one, or None.
        dtype: `float32` or `float16`.

    Raises:
        WeightsError: no such weights, no VGG16, or the layer is not in them.
        UsageError: a setting that cannot be.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | Weights | None = None,
        layer: str | Sequence[str] = "fc7",
        *,
        engine: str = "auto",
        precision: str = "float32",
        devices: str | Sequence[int] = "all",
        batch_size: int | None = None,
        workers: int | None = None,
        resize: int | None = None,
        size: int = SIZE,
        fast_decode: bool = False,
        normalize: str | None = None,
        dtype: str = FLOAT32,
    ) -> None:
        check_counts(batch_size, workers)
        self.preprocessing = preprocessing(resize, fast_decode, size)
        self.finish = Finish(normalize, dtype)
        self.layer = layer
        self.activations = parse_all([layer] if isinstance(layer, str) else layer)
        self.weights = choose(weights)
        self.batch_size = batch_size
        self.workers = workers
        self.engine = engines.create(
            engine, self.weights, self.activations, size,
            precision=precision, devices=devices, batch_size=batch_size, note=_warn,
        )  # fmt: skip

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        weights: Weights,
        layers: Sequence[str] = (),
        *,
        engine: str = "auto",
        precision: str = "float32",
        dtype: str = FLOAT32,
    ) -> Extractor:
        """What makes such features; of these layers, where it is more than the recipe's."""
        how = recipe.preprocessing
        return cls(
            weights,
            layers or recipe.layer,
            engine=engine,
            precision=precision,
            dtype=dtype,
            resize=how.resize,
            size=how.size,
            fast_decode=how.fast_decode,
            normalize=recipe.normalize,
        )

    @property
    def shape(self) -> Any:
        """Shape of one image's features: `(4096,)` for the fc7 of a full-size VGG16.

        Of several layers a dict: layer -> shape.
        """
        return self._by_layer(self.engine.shapes)

    @property
    def recipe(self) -> Any:
        """What a row is made by, as a `Recipe`; of several layers a dict: layer -> `Recipe`."""
        weights, preprocessing = self.weights, self.preprocessing
        return self._by_layer(
            Recipe(weights.fingerprint, weights.source, layer, preprocessing, self.finish.normalize)
            for layer in map(str, self.activations)
        )

    def __call__(self, images: ImageLike | Iterable[ImageLike]) -> Any:
        """Features of images, in their order: `[n,4096]`, or `[n,7,7,512]` of pool5.

        Args:
            images: one image or many. Each is a path or an address, the bytes of an image file, a
                PIL image, or a uint8 array `[h,w]`, `[h,w,3]` (RGB) or `[h,w,4]` (RGBA). An array
                of 224x224x3, or of another `size`, is taken as it is; whatever else is resized
                and center-cropped.

        Returns:
            a NumPy array of `dtype`; of several layers a dict: layer -> array.

        Raises:
            ImageError: an image cannot be read; the message says which.
            VggfeatError: a number is too large for float16.
            TypeError: something is no image at all.
        """
        if _is_one_image(images):
            images = [images]  # type: ignore[list-item]
        refs = (_ref(number, image) for number, image in enumerate(images))  # type: ignore[arg-type]
        rows: list[list[NDArray[Any]]] = [[] for _ in self.activations]
        for outcome in self.each(refs):
            if isinstance(outcome, Failure):
                raise ImageError(f"{outcome.name}: {outcome.reason}")
            for column, features in zip(rows, outcome.features, strict=True):
                column.append(features)
        return self._by_layer(
            np.stack(column) if column else np.empty((0, *shape), self.finish.dtype)
            for column, shape in zip(rows, self.engine.shapes, strict=True)
        )

    def each(self, images: Iterable[ImageRef]) -> Iterator[Row | Failure]:
        """What becomes of each image, in order, as batches are done; one that fails stops nothing.

        Raises:
            VggfeatError: the engine cannot go on.
        """
        for outcomes in pipeline.run(
            images,
            self.preprocessing,
            self.engine,
            self.batch_size,
            self.workers,
            finish=self.finish,
        ):
            for outcome in outcomes:
                # No content is known beforehand, so none is recognised.
                assert not isinstance(outcome, Recognised)
                yield outcome

    def _by_layer(self, values: Iterable[Any]) -> Any:
        """One of each activation; alone where one layer was asked for, and not a list of one."""
        if isinstance(self.layer, str):
            (alone,) = values
            return alone
        return dict(zip(map(str, self.activations), values, strict=True))


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)


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
        path = os.fspath(image)
        return ref(path) or LocalFile(path)
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
