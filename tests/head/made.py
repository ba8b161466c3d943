"""Features of made classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vggfeat.preprocess import preprocessing
from vggfeat.recipe import Recipe

RECIPE = Recipe(32 * "ab", "made for a test", "fc7", preprocessing())


def features(
    rows: int = 60, width: int = 30, classes: int = 3, seed: int = 0, apart: float = 0.6
) -> tuple[NDArray[np.float32], list[str]]:
    """As fc7 has them: not negative, of different scales, one of them dead. With labels."""
    generator = np.random.default_rng(seed)
    centers = generator.standard_normal((classes, width)) * apart
    true = np.arange(rows) % classes
    vectors = np.maximum(centers[true] + generator.standard_normal((rows, width)), 0)
    vectors *= generator.uniform(0.1, 20, width)
    vectors[:, 0] = 0
    return vectors.astype(np.float32), [f"class {k}" for k in true]
