"""Whether a layer of a Keras model has VGG16's geometry, as its settings tell it.

Settings of all generations: `strides`, `padding` and `dilation_rate` were `subsample`,
`border_mode` and `atrous_rate` in Keras 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vggfeat import vgg16
from vggfeat.weights.formats.keras.config import Node

CONVOLUTIONS = ("Conv2D", "Convolution2D")
DENSE = "Dense"
POOL = "MaxPooling2D"
PAD = "ZeroPadding2D"

_NO_PADS = (0, 0, 0, 0)


def unlike(node: Node, name: str, pads: Sequence[Node]) -> str:
    """How a layer that learns differs from VGG16's of that name; empty where it does not.

    Args:
        pads: the `ZeroPadding2D` layers between it and what is before it.
    """
    fully = name in vgg16.FULLY_CONNECTED
    if node.kind not in ((*CONVOLUTIONS, DENSE) if fully else CONVOLUTIONS):
        return f"{node.name}, in the place of {name}, is a {node.kind}"
    zeros = _zeros(pads)
    if node.kind == DENSE:
        return "" if zeros == _NO_PADS else f"{pads[0].name} ({PAD}) stands before {node.name}"
    for keys in (("strides", "subsample"), ("dilation_rate", "atrous_rate"), ("groups",)):
        key, value = _setting(node, keys, 1)
        if not _all(value, 1):
            return f"{node.name} ({node.kind}) has {key} {value}, expected 1"
    _, padding = _setting(node, ("padding", "border_mode"), "valid")
    fits = _fits_dense if fully else _fits
    if not fits(padding, zeros, name):
        return f"{node.name} ({node.kind}) has padding {padding}{_and(pads)}"
    return ""


def unlike_pool(node: Node) -> str:
    """How a max pooling differs from VGG16's. Its padding does not matter: all sides are even."""
    size = node.config.get("pool_size", 2)
    strides = node.config.get("strides")
    if _all(size, 2) and (strides is None or _all(strides, 2)):
        return ""
    return f"{node.name} ({node.kind}) has pool_size {size} and strides {strides}, expected 2 and 2"


def channels_first(node: Node) -> bool:
    _, order = _setting(node, ("data_format", "dim_ordering"), None)
    return order in ("channels_first", "th")


def _fits(padding: Any, zeros: tuple[int, ...] | None, name: str) -> bool:
    """One row or column on each side, by the convolution itself or before it."""
    return (padding, zeros) in (("same", _NO_PADS), ("valid", (1, 1, 1, 1)))


def _fits_dense(padding: Any, zeros: tuple[int, ...] | None, name: str) -> bool:
    """fc6 covers what there is; of fc7 and fc8, over one position, padding does nothing."""
    return zeros == _NO_PADS and (name != "fc6" or padding == "valid")


def _zeros(pads: Sequence[Node]) -> tuple[int, ...] | None:
    """Rows and columns of zeros: top, bottom, left, right; None where that is not clear."""
    sums = [0, 0, 0, 0]
    for pad in pads:
        value = pad.config.get("padding", 1)
        rows, columns = value if isinstance(value, list) and len(value) == 2 else (value, value)
        sides = [side for pair in (rows, columns) for side in _two(pair)]
        if not all(isinstance(side, int) for side in sides):
            return None
        sums = [a + b for a, b in zip(sums, sides, strict=True)]
    return tuple(sums)


def _two(value: Any) -> list[Any]:
    return value if isinstance(value, list) and len(value) == 2 else [value, value]


def _and(pads: Sequence[Node]) -> str:
    return f", with {' and '.join(pad.name for pad in pads)} before it" if pads else ""


def _setting(node: Node, keys: Sequence[str], default: Any) -> tuple[str, Any]:
    """Under which of its names a setting is there, and its value."""
    for key in keys:
        if node.config.get(key) is not None:
            return key, node.config[key]
    return keys[0], default


def _all(value: Any, expected: int) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(part == expected for part in values)
