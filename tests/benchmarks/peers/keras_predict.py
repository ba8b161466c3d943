"""Keras' own VGG16, `predict` on a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.program import Compute, main
from tests.benchmarks.weights import KERAS


def load(weights: Path) -> Compute:
    import keras

    vgg16 = keras.applications.VGG16(weights=str(weights / KERAS))
    model = keras.Model(vgg16.inputs, vgg16.get_layer("fc2").output)

    def compute(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        prepared = keras.applications.vgg16.preprocess_input(images.astype(np.float32))
        return np.asarray(model.predict(prepared, verbose=0))

    return compute


if __name__ == "__main__":
    main(load)
