"""What search should find: by plain loops in float64, of another sum than the program's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    """With sums that are rounded once."""
    a, b = a.astype(float).ravel(), b.astype(float).ravel()
    squares = math.fsum(a * a) * math.fsum(b * b)
    return math.fsum(a * b) / math.sqrt(squares) if squares else 0.0


def cosines(vectors: NDArray[Any], queries: NDArray[Any]) -> NDArray[np.float64]:
    """[q,n]."""
    return np.array([[cosine(query, row) for row in vectors] for query in queries])


def alike(rows: int = 30, width: int = 500) -> NDArray[np.float32]:
    """Rows whose cosines differ by less than float32 can tell."""
    generator = np.random.default_rng(0)
    made = generator.standard_normal(width) + 2e-5 * generator.standard_normal((rows, width))
    return made.astype(np.float32)


def galleries(rows: int = 16, width: int = 4) -> st.SearchStrategy[NDArray[np.float32]]:
    """Small arrays in which rows are equal, zero, parallel, opposite or nearly the same."""
    numbers = st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, 1e-3, 1.0000001, 3e38, 1e-40])
    return arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, rows), st.integers(1, width)),
        elements=numbers,
        fill=st.nothing(),
    )
