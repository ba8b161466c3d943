"""Whether TensorFlow computes where it is to: without CUDA it takes the processors, silently."""

from __future__ import annotations

import sys


def check(on_gpu: bool) -> None:
    """End the process where there is to be a card and is none; take its memory as needed."""
    try:
        import tensorflow as tf
    except ImportError:
        sys.exit("TensorFlow is not installed")
    from vggfeat.engines import cuda_libraries

    cuda_libraries.open_beside()
    cards = tf.config.list_physical_devices("GPU")
    if on_gpu and not cards:
        sys.exit("TensorFlow finds no GPU")
    for card in cards:
        tf.config.experimental.set_memory_growth(card, True)
