"""A frozen graph in a session of TensorFlow, imported as the tutorials do it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.program import Compute, main
from tests.benchmarks.weights import FROZEN


def load(weights: Path) -> Compute:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString((weights / FROZEN).read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)

    def compute(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run("fc7:0", {"images:0": images}))

    return compute


if __name__ == "__main__":
    main(load)
