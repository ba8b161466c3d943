"""Pictures as batches for Keras, decoded in threads ahead of the step that takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.cores import cores
from vggfeat.errors import ImageError, VggfeatError, describe_os_error
from vggfeat.finetune.augment import augmented
from vggfeat.finetune.pictures import Picture
from vggfeat.keras_layers import keras
from vggfeat.preprocess import preprocess
from vggfeat.sources.files import LocalFile
from vggfeat.vgg16 import SIZE

View = Callable[[int, bytes], NDArray[np.uint8]]

_AHEAD = 8  # batches


def to_learn(
    pictures: Sequence[Picture], batch_size: int, seed: int, epoch: int, devices: int = 1
) -> Any:
    """Batches of one epoch: in an order, and with views, that seed and epoch alone decide.

    Args:
        devices: that share a batch.

    Returns:
        a `keras.utils.PyDataset` of uint8 `[n,224,224,3]` and labels int32 `[n]`; see `check`.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(pictures)).tolist()

    def view(at: int, data: bytes) -> NDArray[np.uint8]:
        return augmented(data, np.random.default_rng([seed, epoch, order[at]]))

    return _batches([pictures[number] for number in order], batch_size, devices, view)


def to_judge(pictures: Sequence[Picture], batch_size: int, devices: int = 1) -> Any:
    """The same without chance: in order, and seen as `extract` sees them."""
    return _batches(pictures, batch_size, devices, lambda at, data: preprocess(data))


def bounds(pictures: int, batch_size: int, devices: int) -> list[tuple[int, int]]:
    """Where batches begin and end. All but the last divide by the devices.

    Keras averages the devices' parts of the first batch, which have to be of one size
    (`_maybe_symbolic_build` of keras/src/backend/tensorflow/trainer.py).
    """
    size = max(batch_size - batch_size % devices, devices)
    if devices <= pictures < size:
        size = pictures - pictures % devices
    return [(begin, min(begin + size, pictures)) for begin in range(0, pictures, size)]


def check(batches: Any) -> None:
    """Raise VggfeatError where a picture could not be read since it was last looked at."""
    if batches.errors:
        raise VggfeatError(batches.errors[0])


def _batches(pictures: Sequence[Picture], batch_size: int, devices: int, view: View) -> Any:
    class Batches(keras().utils.PyDataset):  # type: ignore[misc]  # Keras is loaded when needed
        def __init__(self) -> None:
            super().__init__(workers=cores(), max_queue_size=_AHEAD)
            self.errors: list[str] = []
            self.bounds = bounds(len(pictures), batch_size, devices)

        def __len__(self) -> int:
            return len(self.bounds)

        def __getitem__(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
            places = range(*self.bounds[number])
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
