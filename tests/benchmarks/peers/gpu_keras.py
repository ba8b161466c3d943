"""Keras' own VGG16 on a GPU: uint8 is sent, `predict` over a tf.data pipeline.

Keras compiles it by XLA, which is its default.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.on_tensorflow import check
from tests.benchmarks.peers.variants import Asked, Compute, Make, main
from tests.benchmarks.weights import KERAS


def load(asked: Asked) -> Make:
    check(asked.on_gpu)
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(asked.precision == "tf32")
    if asked.precision.endswith("16"):
        keras.config.set_dtype_policy(f"mixed_{asked.precision}")
    vgg16 = keras.applications.VGG16(weights=str(asked.weights / KERAS))
    features = keras.Model(vgg16.inputs, vgg16.get_layer("fc2").output)
    pixels = keras.Input((224, 224, 3), dtype="uint8")
    prepared = keras.applications.vgg16.preprocess_input(keras.ops.cast(pixels, "float32"))
    model = keras.Model(pixels, keras.ops.cast(features(prepared), "float32"))

    def make(variant: str, batch: int) -> Compute:
        def compute(images: NDArray[np.uint8], times: int) -> list[NDArray[np.float32]]:
            batches = tf.data.Dataset.from_tensors(images).repeat(times).prefetch(tf.data.AUTOTUNE)
            return [model.predict(batches, verbose=0)]

        return compute

    return make


if __name__ == "__main__":
    main(load)
