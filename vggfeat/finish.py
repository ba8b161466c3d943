"""What is done to features after the network: their length, and the numbers they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat.errors import UsageError, VggfeatError
from vggfeat.outcome import DTYPES, FLOAT16, FLOAT32, L2, NORMS

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Finish:
    """As a run asks for it.

    Attributes:
        normalize: `l2` gives each row, all numbers of a map together, the length one. A row of
            zeros stays one.
        dtype: `float32` or `float16`.

    Raises:
        UsageError: there is no such norm or dtype.
    """

    normalize: str | None = None
    dtype: str = FLOAT32

    def __post_init__(self) -> None:
        if self.normalize not in (None, *NORMS):
            raise UsageError(f"no norm {self.normalize!r}; there is {', '.join(NORMS)}")
        if self.dtype not in DTYPES:
            raise UsageError(f"no dtype {self.dtype!r}; there are {', '.join(DTYPES)}")

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """float32 `[n, ...]` -> the same shape in `dtype`; rows do not depend on each other.

        Raises:
            VggfeatError: a number is too large for float16.
        """
        with np.errstate(over="ignore"):
            if self.normalize == L2:
                finished = np.empty(rows.shape, self.dtype)
                for row, target in zip(rows, finished, strict=True):
                    target[...] = _unit(row)
            else:
                finished = rows.astype(self.dtype, copy=False)
        if self.dtype == FLOAT16 and not np.isfinite(finished).all():
            raise VggfeatError(
                f"float16 holds numbers up to {np.finfo(np.float16).max:.0f}, and this layer gives "
                f"{np.abs(rows).max():.0f}: take --normalize l2 or --dtype float32"
            )
        return finished


def _unit(row: NDArray[np.float32]) -> NDArray[Any]:
    """Its norm and quotients are computed in float64, and rounded once."""
    norm = np.sqrt(np.square(row, dtype=np.float64).sum())
    return row / norm if norm > 0 else row
