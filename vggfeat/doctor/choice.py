"""Which engine `auto` takes here, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vggfeat import engines, vgg16
from vggfeat.activations import Activation
from vggfeat.engines import gpu
from vggfeat.engines.batches import on_card


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
    width_of = {layer: vgg16.WIDTHS[layer] for layer in Activation("fc7").parts}
    return max(on_card(card.free, width_of) for card in cards)
