"""What the layers between a Keras model's input and its first convolution do to the pixels.

`Rescaling(scale, offset)` gives scale * pixel + offset, `Normalization(mean, variance)` gives
(pixel - mean) / sqrt(variance) (keras/src/layers/preprocessing). Neither turns the channels, and
Keras reads images as RGB: so a model that begins with them takes RGB, whatever its layers' names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.inputs import RGB, Input
from vggfeat.weights.formats.keras.config import Node

_LONGEST = 100


def taken_by(first: Node | None) -> Input | None:
    """What the first convolution takes of pixels in 0..255; None where the model does not say."""
    way: list[Node] = []
    node = first
    while node is not None and len(node.sources) == 1 and len(way) < _LONGEST:
        node = node.sources[0]
        way.append(node)
    factor, offset, rescaled = np.ones(3), np.zeros(3), False
    for step in reversed(way):
        if step.kind in ("InputLayer", "ZeroPadding2D", "Resizing", "CenterCrop"):
            continue
        if step.kind.startswith("Random"):  # augmentation, which is for training alone
            continue
        try:
            by, plus = _step(step)
        except (ValueError, TypeError, KeyError):
            return None
        factor, offset, rescaled = factor * by, offset * by + plus, True
    if not rescaled or not (np.isfinite([factor, offset]).all() and (factor > 0).all()):
        return None
    return Input(RGB, _triple(-offset / factor), _triple(1 / factor))


def _step(node: Node) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and offset by channel. Raises ValueError: a layer of another kind."""
    config = node.config
    if node.kind == "Rescaling":
        return _three(config["scale"]), _three(config.get("offset", 0))
    if node.kind == "Normalization" and not config.get("invert"):
        factor = 1 / np.sqrt(_three(config["variance"]))
        return factor, -_three(config["mean"]) * factor
    raise ValueError(node.kind)


def _three(value: Any) -> NDArray[np.float64]:
    """One number or three. Raises ValueError, TypeError."""
    array = np.asarray(value, np.float64).reshape(-1)
    return np.broadcast_to(array, 3)


def _triple(array: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = array.tolist()
    return red, green, blue
