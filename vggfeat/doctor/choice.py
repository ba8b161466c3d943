"""Which engine `auto` takes here, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vggfeat import engines, vgg16
from vggfeat.engines import gpu
from vggfeat.engines.batches import on_card

_FLOAT32 = 4  # bytes


class Choice(NamedTuple):
    """What `auto` takes.

    Attributes:
        engine: its name.
        reason: why, as a clause.
    """

    engine: str
    reason: str


def auto() -> Choice:
    """The engine that `extract` takes without `--engine`, and the reason in words."""
    engine = engines.auto()
    if engine == "ncnn":
        return Choice(engine, gpu.why_not() or "there is no GPU")
    usable = gpu.usable()
    return Choice(engine, "there is a GPU" if usable else "ncnn is not installed")


def batch_on_cards(cards: Sequence[gpu.Card]) -> int:
    """Images that a GPU computes at once for fc7 of a full-size network in float32, at the most."""
    channels, weights = 3, 0
    for layer, width in vgg16.WIDTHS.items():
        if layer != "fc8":
            weights += int(np.prod(vgg16.kernel_shape(layer, channels, width))) + width
        channels = width
    largest_map = vgg16.SIZE**2 * vgg16.WIDTHS["conv1_1"]
    return max(on_card(card.free, _FLOAT32 * weights, _FLOAT32 * largest_map) for card in cards)
