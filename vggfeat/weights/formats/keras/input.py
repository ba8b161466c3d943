"""What the layers between a Keras model's input and its first convolution do to the pixels.

`Rescaling(scale, offset)` gives scale * pixel + offset, `Normalization(mean, variance)` gives
(pixel - mean) / sqrt(variance) (keras/src/layers/preprocessing); operations on tensors are layers
too, so that `preprocess_input` of keras.applications within a model is a few of them. Keras reads
images as RGB: a model that begins with such layers takes RGB, unless they turn the channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vggfeat.errors import WeightsError
from vggfeat.inputs import BGR, RGB, Input
from vggfeat.weights.formats.keras.batch_norm import NORM
from vggfeat.weights.formats.keras.chain import SILENT
from vggfeat.weights.formats.keras.config import LEARNING, Node
from vggfeat.weights.formats.keras.geometry import PAD
from vggfeat.weights.formats.keras.layers import Part
from vggfeat.weights.formats.keras.pixel_ops import NORMALIZATION, affine, turns

NOTE = "what the model does to pixels before conv1_1 is not understood"

_LONGEST = 100
_NOTHING = (*SILENT, "Resizing", "CenterCrop", "Cast")


@dataclass(frozen=True)
class Pixels:
    """What is done to pixels in 0..255: nothing, something, or what is not understood.

    Attributes:
        taken: what the first convolution takes; None where the model does nothing to pixels.
        understood: whether that is all that is done.
    """

    taken: Input | None = None
    understood: bool = True


def taken_by(first: Node, part_of: Mapping[Node, Part]) -> Pixels:
    """What the first convolution takes, as far as the model says.

    Args:
        part_of: the weights of each layer.

    Raises:
        WeightsError: a layer that learns stands before it.
    """
    way, understood = _way_to(first)
    _check_nothing_learns(way, part_of)
    factor, offset, order, changed = np.ones(3), np.zeros(3), RGB, False
    for step in reversed(way):
        if _does_nothing(step):
            continue
        if step.kind == PAD and step is way[0]:  # for the convolution
            continue
        if turns(step):
            factor, offset, changed = factor[::-1], offset[::-1], True
            order = BGR if order == RGB else RGB
            continue
        found = affine(step, part_of.get(step))
        if found is None:
            return Pixels(understood=False)
        factor, offset, changed = factor * found[0], offset * found[0] + found[1], True
    if not understood or not (np.isfinite([factor, offset]).all() and (factor > 0).all()):
        return Pixels(understood=False)
    mean, divisor = (-offset / factor).tolist(), (1 / factor).tolist()
    if order == BGR:
        mean, divisor = mean[::-1], divisor[::-1]
    return Pixels(Input(order, _triple(mean), _triple(divisor)) if changed else None)


def _way_to(first: Node) -> tuple[list[Node], bool]:
    """What is before a layer, nearest first, and whether it leads to inputs.

    Three slices and the stack of them, which turns the channels, count as the stack alone.
    """
    way: list[Node] = []
    sources = first.sources
    while sources and len(way) < _LONGEST:
        node = sources[0]
        if len(sources) > 1:  # a model that is called on several images
            return way, all(source.kind == "InputLayer" for source in sources)
        way.append(node)
        sources = sources[0].sources
        if turns(node) and len(sources) > 1:
            sources = sources[0].sources
    return way, not sources


def _check_nothing_learns(way: list[Node], part_of: Mapping[Node, Part]) -> None:
    for step in way:
        if step.kind in (*LEARNING, NORM) or (
            step in part_of and step.kind != NORMALIZATION and not step.kind.startswith("Random")
        ):
            raise WeightsError(
                f"no VGG16: {step.name} ({step.kind}) stands before conv1_1 and learns, where "
                "VGG16 has the pixels"
            )


def _does_nothing(step: Node) -> bool:
    """To the numbers of pixels; what is random is for training alone."""
    cast = step.config.get("function") == "cast"
    return cast or step.kind in _NOTHING or step.kind.startswith("Random")


def _triple(values: list[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third
