"""Random weights for trials: the right shapes and speeds, no meaning at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vggfeat import vgg16
from vggfeat.weights.canonical import Weights, from_layers

MEAN_RGB = (123.68, 116.779, 103.939)


def random_weights(widths: Mapping[str, int] = vgg16.WIDTHS, seed: int = 0) -> Weights:
    """A He-scaled network (He et al. 2015: deviation sqrt(2 / inputs), biases zero).

    Args:
        widths: output channels by layer; leave fully connected layers out for a network
            without them.
        seed: the same seed gives the same bits.
    """
    generator = np.random.default_rng(seed)
    layers = {}
    channels = 3
    for name in vgg16.LAYERS:
        if name not in widths:
            continue
        if name in vgg16.CONVOLUTIONS:
            shape: tuple[int, ...] = (3, 3, channels, widths[name])
        elif name == "fc6":
            shape = (vgg16.POSITIONS * channels, widths[name])
        else:
            shape = (channels, widths[name])
        kernel = generator.standard_normal(shape, dtype=np.float32)
        kernel *= np.float32((2 / np.prod(shape[:-1])) ** 0.5)
        layers[name] = kernel, np.zeros(widths[name], np.float32)
        channels = widths[name]
    source = f"random, He-scaled, seed {seed}: not trained, for trials only"
    return from_layers(layers, mean_rgb=MEAN_RGB, channels="rgb", source=source)
