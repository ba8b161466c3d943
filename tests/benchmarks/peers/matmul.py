"""What the two programs share that measure a card's matrix products.

PROGRAM PLACE SECONDS

Each line of stdin, PRECISION SIZE, asks for products of square matrices that take some SECONDS.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

# A chain of so many products `x = x @ b`, until the last is done.
Chain = Callable[[int], None]
# Of a precision and the float32 matrix b.
Make = Callable[[str, NDArray[np.float32]], Chain]


def main(load: Callable[[bool], Make]) -> None:
    """Run the program. `load` is told whether there has to be a GPU."""
    place, seconds = sys.argv[1:]
    make = load(place == "gpu")
    print(json.dumps({}), flush=True)

    @cache
    def ready(precision: str, size: int) -> tuple[Chain, int]:
        """Warmed up, with the number of products that take so many seconds."""
        chain = make(precision, _matrix(size))
        chain(2)
        return chain, max(1, math.ceil(float(seconds) / (_seconds(chain, 4) / 4)))

    for line in sys.stdin:
        precision, size = line.split()
        chain, products = ready(precision, int(size))
        flop = 2 * int(size) ** 3 * products
        print(json.dumps({"flop": flop, "seconds": _seconds(chain, products)}), flush=True)


@cache
def _matrix(size: int) -> NDArray[np.float32]:
    """Random, as zeros would take less power; scaled so that products stay as large as they are."""
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((size, size), np.float32)
    matrix /= size**0.5
    return matrix


def _seconds(chain: Chain, products: int) -> float:
    started = time.perf_counter()
    chain(products)
    return time.perf_counter() - started
