"""Matrix products by TensorFlow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.matmul import Chain, Make, main
from tests.benchmarks.peers.on_tensorflow import check


def load(on_gpu: bool) -> Make:
    check(on_gpu)
    import tensorflow as tf

    def make(precision: str, matrix: NDArray[np.float32]) -> Chain:
        dtype = precision if precision.endswith("16") else "float32"
        held = tf.cast(tf.constant(matrix), dtype)

        def chain(products: int) -> None:
            # It is the whole process's, and another chain has set it.
            tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
            x = held
            for _ in range(products):
                x = tf.matmul(x, held)
            x[0, 0].numpy()

        return chain

    return make


if __name__ == "__main__":
    main(load)
