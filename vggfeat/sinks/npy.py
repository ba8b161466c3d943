"""NumPy's .npy: float32, C order, one row an image, written as it comes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

HEADER_TELLS_ROWS = True


def header(rows: int, shape: tuple[int, ...]) -> bytes:
    """NumPy pads the header so that a growing number of rows fits in the same length."""
    out = io.BytesIO()
    npy_format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": (rows, *shape)}
    )
    return out.getvalue()


def encode(names: Sequence[str], features: NDArray[np.float32]) -> bytes:
    return features.astype("<f4", copy=False).tobytes()
