"""What a head says of pictures, or of features that are there already."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.each import each
from vggfeat.errors import UsageError
from vggfeat.extraction import no_images
from vggfeat.extractor import Extractor
from vggfeat.features import is_output, open_features
from vggfeat.head.evaluate import probabilities
from vggfeat.head.file import Head
from vggfeat.outcome import Failure
from vggfeat.sources import Inputs, open_inputs
from vggfeat.watcher import Watcher
from vggfeat.weights import Weights
from vggfeat.weights.made_by import made_by

_FEATURES = (".npy", ".npz", ".h5", ".safetensors")


class Prediction(NamedTuple):
    """Of one picture.

    Attributes:
        path: of the picture.
        probabilities: float32 `[classes]`.
    """

    path: str
    probabilities: NDArray[np.float32]


class Predictions(NamedTuple):
    """Of rows or pictures, in order.

    Attributes:
        total: how many there are; None while a list is still being read.
        outcomes: one for each, as they are computed.
    """

    total: int | None
    outcomes: Iterator[Prediction | Failure]


def predict(
    head: Head,
    inputs: Sequence[str],
    *,
    weights: str | os.PathLike[str] | Weights | None = None,
    nul_separated: bool = False,
    watcher: Watcher | None = None,
) -> Predictions:
    """Apply a head to each row of features or to each picture.

    Args:
        head: what to apply.
        inputs: one file of features, as `extract` wrote it (`.npy`, `.parquet` ...), or pictures:
            files, folders, and `-` for a list of paths on stdin.
        weights: for pictures: those that the head's features were made by; None to look for
            them in the store.
        nul_separated: paths on stdin end in NUL, not in a newline.
        watcher: told what there is to say of the weights.

    Raises:
        VggfeatError: something cannot be read, or is not what the head was fitted on. A picture
            that cannot be read is a failure in its place.
    """
    if not any(map(_are_features, inputs)):
        return _of_pictures(head, inputs, weights, nul_separated, watcher or Watcher())
    if len(inputs) > 1:
        raise UsageError("features are taken one file at a time, and not together with pictures")
    return _of_features(head, inputs[0])


def _are_features(name: str) -> bool:
    """By the suffix; a table of Parquet holds pictures if `extract` has not written it."""
    suffix = Path(name).suffix
    return suffix in _FEATURES or (suffix == ".parquet" and is_output(name))


def _of_features(head: Head, name: str) -> Predictions:
    vectors, paths, recipe, _ = open_features(name)
    head.check(recipe, name)
    rows = (row for block in probabilities(head, vectors) for row in block)
    return Predictions(len(paths), map(Prediction, paths, rows))


def _of_pictures(
    head: Head,
    inputs: Sequence[str],
    weights: str | os.PathLike[str] | Weights | None,
    nul_separated: bool,
    watcher: Watcher,
) -> Predictions:
    images = open_inputs(inputs, nul_separated=nul_separated)
    if images.total == 0:
        raise no_images(images)
    chosen = made_by(head.recipe, weights, watcher, "the head")
    extractor = Extractor.of(head.recipe, chosen)
    return Predictions(images.total, _told(head, extractor, images))


def _told(head: Head, extractor: Extractor, images: Inputs) -> Iterator[Prediction | Failure]:
    for outcome in each(extractor, images):
        if isinstance(outcome, Failure):
            yield outcome
        else:
            yield Prediction(outcome.name, head.probabilities(outcome.numbers[None])[0])
