"""How much arithmetic an image is, and so how fast a card could be."""

from __future__ import annotations

import math

from vggfeat import vgg16


def an_image(last: str = "fc7") -> int:
    """Operations from an image of 224 pixels up to a layer: a multiplication and an addition are 2.

    Convolutions and matrix products alone: biases, ReLU and pooling are 0.1 % more.
    """
    multiplications, channels = 0, 3
    for layer in vgg16.OUTPUTS[last]:
        width = vgg16.WIDTHS[layer]
        positions = (vgg16.SIZE >> vgg16.MAPS[layer]) ** 2 if layer in vgg16.MAPS else 1
        multiplications += positions * math.prod(vgg16.kernel_shape(layer, channels, width))
        channels = width
    return 2 * multiplications


def images_per_second(flops: float) -> float:
    """Of a card that does nothing but this arithmetic, at so many FLOP/s."""
    return flops / an_image()
