"""How many images a batch holds where their maps are large."""

from __future__ import annotations

import math
from collections.abc import Iterable

_MOST_BYTES = 1 << 26


def fitting(most: int, shapes: Iterable[tuple[int, ...]]) -> int:
    """`most`, or as many images as keep a batch of float32 arrays of these shapes small."""
    bytes_of_one = 4 * sum(map(math.prod, shapes))
    return max(1, min(most, _MOST_BYTES // bytes_of_one))
