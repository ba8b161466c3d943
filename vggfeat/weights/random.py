"""Random weights for trials: the right shapes and speeds, no meaning at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vggfeat import vgg16
from vggfeat.inputs import OXFORD_MEAN
from vggfeat.weights.canonical import Float32, Weights
from vggfeat.weights.origin import RANDOM, Origin


def random_weights(widths: Mapping[str, int] = vgg16.WIDTHS, seed: int = 0) -> Weights:
    """A He-scaled network (He et al. 2015: deviation sqrt(2 / inputs), biases zero).

    Args:
        widths: output channels by layer; leave fully connected layers out for a network
            without them.
        seed: the same seed gives the same bits.
    """
    generator = np.random.default_rng(seed)
    tensors: dict[str, Float32] = {}
    channels = 3
    for name in vgg16.LAYERS:
        if name not in widths:
            continue
        shape = vgg16.kernel_shape(name, channels, widths[name])
        kernel = generator.standard_normal(shape, dtype=np.float32)
        kernel *= np.float32((2 / np.prod(shape[:-1])) ** 0.5)
        tensors[f"{name}/kernel"] = kernel
        tensors[f"{name}/bias"] = np.zeros(widths[name], np.float32)
        channels = widths[name]
    source = f"random, He-scaled, seed {seed}: not trained, for trials only"
    tensors["mean"] = np.asarray(OXFORD_MEAN, np.float32)
    return Weights(tensors, Origin(source, RANDOM, "rgb", "caffe", "RGB, caffe scale", "made so"))
