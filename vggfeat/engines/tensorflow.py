"""The TensorFlow engine: whole batches, on the GPU where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat.engines import graph
from vggfeat.engines.batches import fitting
from vggfeat.errors import VggfeatError
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.vgg16 import SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.activations import Activation
    from vggfeat.weights.canonical import Weights

_BATCH_SIZE = 16  # of images of 224 pixels


class TensorFlowEngine:
    """VGG16 frozen into one TensorFlow function.

    The weights stay outside the graph, as tensors it captures. As constants inside, the
    graph optimizer folds and copies half a GB of them before the first batch (45 s and 8 GB
    on two cores, against 3 s and under 3 GB). fc6 and fc7 are matrix products: as convolutions
    they are slower, and their last bits depend on the size of the batch.
    """

    name = "tensorflow"

    def __init__(
        self, weights: Weights, activations: Sequence[Activation], size: int = SIZE
    ) -> None:
        tf = self._tf = tensorflow()
        self.version: str = tf.__version__
        self._has_gpu = _prepare_gpus(tf)
        self.batches_in_flight = 2 if self._has_gpu else 1
        held = {name: tf.constant(array) for name, array in weights.up_to(activations).items()}

        @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])  # type: ignore[untyped-decorator]
        def network(images: Any) -> Any:
            return graph.features(tf, images, held.__getitem__, activations)

        self._network = network.get_concrete_function()
        self.shapes = tuple(part.shape(weights.width_of, size) for part in activations)
        most = max(1, _BATCH_SIZE * SIZE**2 // max(size, SIZE) ** 2)
        self.batch_size = fitting(most, self.shapes)

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8]]:
        return (image,)

    def padded_rows(self, rows: int, batch_size: int) -> int:
        # On CPUs the rows of every batch from two up have the same bits (measured); a GPU's
        # library chooses its algorithms by the shape of the batch.
        return batch_size if self._has_gpu else max(rows, 2)

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        (images,) = batch
        try:
            return [found.numpy() for found in self._network(self._tf.constant(images))]
        except self._tf.errors.ResourceExhaustedError as error:
            raise VggfeatError(
                f"out of memory with a batch of {len(images)} images: try a smaller --batch-size"
            ) from error


def _prepare_gpus(tf: Any) -> bool:
    """Leave memory that is not needed to other programs, and float32 as exact as on a CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # the caller's own program already uses the GPU
            break
    if gpus:
        tf.config.experimental.enable_tensor_float_32_execution(False)
    return bool(gpus)
