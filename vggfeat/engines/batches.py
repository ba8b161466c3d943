"""How many images a batch holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from vggfeat import vgg16

_MOST_BYTES = 1 << 26

_MOST_ON_CARD = 128
_LEFT_FREE = 0.2  # of a card's free memory, for others and for what comes in pieces
_WORKSPACE = 1 << 30  # bytes: CUDA's context, and what cuDNN's convolutions take
# On a card: while one is computed, the results of another are copied back and images of a third
# wait to be copied. TensorFlow lets that wait for what has begun there.
BATCHES_AT_ONCE = 3
# Of the largest: what goes in, what comes out, one in another layout.
_MAPS_AT_ONCE = 3 * BATCHES_AT_ONCE


def fitting(most: int, shapes: Iterable[tuple[int, ...]]) -> int:
    """`most`, or as many images as keep a batch of float32 arrays of these shapes small."""
    bytes_of_one = 4 * sum(map(math.prod, shapes))
    return max(1, min(most, _MOST_BYTES // bytes_of_one))


def on_card(
    free: int | None, width_of: Mapping[str, int], size: int = vgg16.SIZE, bytes_each: int = 4
) -> int:
    """A power of two, 128 at the most: more hardly serves a card any better.

    Args:
        free: bytes of the card's memory; None where that is not known.
        width_of: output channels by layer, of those that take part.
        size: of the images, in pixels.
        bytes_each: of a number.
    """
    if free is None:
        return _MOST_ON_CARD
    weights = bytes_each * vgg16.parameters(width_of)
    largest_map = bytes_each * size * size * width_of["conv1_1"]
    left = free * (1 - _LEFT_FREE) - weights - _WORKSPACE
    images = max(1, int(left / (_MAPS_AT_ONCE * largest_map)))
    return min(_MOST_ON_CARD, 1 << (images.bit_length() - 1))
