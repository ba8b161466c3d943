"""Pictures as batches for Keras, decoded in threads ahead of the step that takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.cores import cores
from vggfeat.errors import ImageError, VggfeatError, describe_os_error
from vggfeat.finetune.augment import augmented
from vggfeat.finetune.pictures import Picture
from vggfeat.keras_vgg16 import keras
from vggfeat.preprocess import preprocess
from vggfeat.sources.files import LocalFile
from vggfeat.vgg16 import SIZE

View = Callable[[int, bytes], NDArray[np.uint8]]

_AHEAD = 8  # batches


def to_learn(pictures: Sequence[Picture], batch_size: int, seed: int, epoch: int) -> Any:
    """Batches of one epoch: in an order, and with views, that seed and epoch alone decide.

    Returns:
        a `keras.utils.PyDataset` of uint8 `[n,224,224,3]` and labels int32 `[n]`; see `check`.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(pictures)).tolist()

    def view(at: int, data: bytes) -> NDArray[np.uint8]:
        return augmented(data, np.random.default_rng([seed, epoch, order[at]]))

    return _batches([pictures[number] for number in order], batch_size, view)


def to_judge(pictures: Sequence[Picture], batch_size: int) -> Any:
    """The same without chance: in order, and seen as `extract` sees them."""
    return _batches(pictures, batch_size, lambda at, data: preprocess(data))


def check(batches: Any) -> None:
    """Raise VggfeatError where a picture could not be read since it was last looked at."""
    if batches.errors:
        raise VggfeatError(batches.errors[0])


def _batches(pictures: Sequence[Picture], batch_size: int, view: View) -> Any:
    class Batches(keras().utils.PyDataset):  # type: ignore[misc]  # Keras is loaded when needed
        def __init__(self) -> None:
            super().__init__(workers=cores(), max_queue_size=_AHEAD)
            self.errors: list[str] = []

        def __len__(self) -> int:
            return math.ceil(len(pictures) / batch_size)

        def __getitem__(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
            places = range(number * batch_size, min((number + 1) * batch_size, len(pictures)))
            labels = np.array([pictures[at].label for at in places], np.int32)
            return np.stack([self._view(at) for at in places]), labels

        def _view(self, at: int) -> NDArray[np.uint8]:
            name = pictures[at].name
            try:
                return view(at, LocalFile(name).read().data)  # type: ignore[arg-type]  # bytes
            except (OSError, ImageError) as error:
                # Not raised here, in a thread of TensorFlow's, which would make another of it.
                reason = describe_os_error(error) if isinstance(error, OSError) else error
                self.errors.append(f"{name}: cannot be read any more: {reason}")
                return np.zeros((SIZE, SIZE, 3), np.uint8)

    return Batches()
