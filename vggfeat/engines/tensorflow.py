"""The TensorFlow engine: whole batches, on the GPU where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat.engines import graph
from vggfeat.errors import VggfeatError
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.vgg16 import SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.weights.canonical import Weights


class TensorFlowEngine:
    """VGG16 frozen into one TensorFlow function.

    The weights stay outside the graph, as tensors it captures. As constants inside, the
    graph optimizer folds and copies half a GB of them before the first batch (45 s and 8 GB
    on two cores, against 3 s and under 3 GB). fc6 and fc7 are matrix products: as convolutions
    they are slower, and their last bits depend on the size of the batch.
    """

    name = "tensorflow"
    batch_size = 16

    def __init__(self, weights: Weights, layer: str) -> None:
        tf = self._tf = tensorflow()
        self.version: str = tf.__version__
        self._has_gpu = _prepare_gpus(tf)
        self.batches_in_flight = 2 if self._has_gpu else 1
        held = {name: tf.constant(array) for name, array in weights.up_to(layer).items()}

        @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8)])  # type: ignore[untyped-decorator]
        def network(images: Any) -> Any:
            return graph.features(tf, images, held.__getitem__, layer)

        self._network = network.get_concrete_function()
        self.shape: tuple[int, ...] = tuple(self._network.output_shapes[1:])

    def image_stage(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return image

    def padded_rows(self, rows: int, batch_size: int) -> int:
        # On CPUs the rows of every batch from two up have the same bits (measured); a GPU's
        # library chooses its algorithms by the shape of the batch.
        return batch_size if self._has_gpu else max(rows, 2)

    def batch_stage(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            features: NDArray[np.float32] = self._network(self._tf.constant(batch)).numpy()
        except self._tf.errors.ResourceExhaustedError as error:
            raise VggfeatError(
                f"out of memory with a batch of {len(batch)} images: try a smaller --batch-size"
            ) from error
        return features


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
