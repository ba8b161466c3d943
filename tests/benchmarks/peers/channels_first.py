"""What the networks with channels first take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MEAN = np.array([123.68, 116.779, 103.939], np.float32)


def prepared(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 `[n,224,224,3]` -> float32 `[n,3,224,224]`, the mean subtracted."""
    return np.ascontiguousarray((images - MEAN).transpose(0, 3, 1, 2))
