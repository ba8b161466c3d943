"""What frameworks call VGG16's layers, and the order that people give to names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from natsort import natsort_keygen, ns

from vggfeat import vgg16

_KERAS_CONNECTED = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}

_natural = natsort_keygen(alg=ns.IGNORECASE)


def keras(layer: str) -> str:
    """keras.applications': `conv1_1` -> `block1_conv1` (VGG-19's too), `fc6` -> `fc1`."""
    return _KERAS_CONNECTED.get(layer) or f"block{layer[4]}_conv{layer[6]}"


def torchvision(normalised: bool = False) -> dict[str, str]:
    """torchvision's by ours: `{"conv1_1": "features.0", ..., "fc8": "classifier.6"}`.

    `features` counts each convolution, its batch normalisation, its ReLU, and the pooling behind
    each block; `classifier` each dense layer, its ReLU and its dropout (torchvision/models/vgg.py).

    Args:
        normalised: of the networks with batch normalisation.
    """
    names = {}
    place = 0
    for block in vgg16.BLOCKS:
        for layer in block:
            names[layer] = f"features.{place}"
            place += 3 if normalised else 2
        place += 1
    return names | {layer: f"classifier.{3 * k}" for k, layer in enumerate(vgg16.FULLY_CONNECTED)}


def natural(path: Iterable[str]) -> list[Any]:
    """What to sort names in parts by: `Conv2` comes before `conv10`."""
    return [_natural(part) for part in path]
