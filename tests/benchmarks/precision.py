"""How far each precision is off float32: the table in README, computed on a processor.

    python -m tests.benchmarks.precision [NOTOP]

NOTOP is the published convolutions, vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5; without them
only the random network is computed. What a GPU does in TF32 is done here by rounding the factors
of each product to its 10 bits; sums stay in float32, as there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tests.networks import relative_error
from vggfeat.activations import parse_all
from vggfeat.engines import precision
from vggfeat.engines.tensorflow import TensorFlowEngine
from vggfeat.preprocess import preprocess
from vggfeat.weights import Weights, choose
from vggfeat.weights.random import random_weights

PHOTOGRAPHS = 8
_DROPPED = 13  # bits of float32's mantissa that TF32 has not


def main() -> None:
    folder = Path(__file__).parents[2] / "sample_images"
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png"))[:PHOTOGRAPHS]
    crops = np.stack([preprocess(path.read_bytes()) for path in paths])
    for notop in sys.argv[1:2]:
        _tell("pool5 of the published convolutions", choose(notop), "pool5", crops)
    _tell("fc7 of the random network", random_weights(), "fc7", crops)


def _tell(what: str, weights: Weights, layer: str, crops: Any) -> None:
    print(what)
    exact = _computed(weights, layer, crops, precision.FLOAT32)
    for name in precision.NAMES:
        error = relative_error(_computed(weights, layer, crops, name), exact)
        print(f"  {name:<10}{error:.1e}", flush=True)


def _computed(weights: Weights, layer: str, crops: Any, name: str) -> Any:
    engine = TensorFlowEngine(weights, parse_all([layer]), precision=name, batch_size=len(crops))
    with _factors_rounded() if name == precision.TF32 else nullcontext():
        return engine.batch_stage([crops])[0]


@contextmanager
def _factors_rounded() -> Iterator[None]:
    """While a graph is traced, its products take factors of TF32."""
    conv2d, matmul = tf.nn.conv2d, tf.matmul

    def rounded_conv2d(x: Any, kernel: Any, **options: Any) -> Any:
        return conv2d(_rounded(x), _rounded(kernel), **options)

    def rounded_matmul(x: Any, kernel: Any) -> Any:
        return matmul(_rounded(x), _rounded(kernel))

    with (
        mock.patch.object(tf.nn, "conv2d", rounded_conv2d),
        mock.patch.object(tf, "matmul", rounded_matmul),
    ):
        yield


def _rounded(x: Any) -> Any:
    """float32 -> float32 with the bits of TF32, to nearest, ties to even."""
    bits = tf.bitcast(x, tf.uint32)
    last = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, np.uint32(_DROPPED)), np.uint32(1))
    bits += np.uint32((1 << (_DROPPED - 1)) - 1) + last
    kept = np.uint32((1 << 32) - (1 << _DROPPED))
    return tf.bitcast(tf.bitwise.bitwise_and(bits, kept), tf.float32)


if __name__ == "__main__":
    main()
