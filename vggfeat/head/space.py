"""The space that a head is fitted in: standardised features, and no more dimensions than needed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from vggfeat.head.linear import Linear

_EXACT = 1 << 24  # numbers, up to which they are computed with in float64
_TURNED = 2048  # rows, up to which turning them takes less time than it saves


class Space(NamedTuple):
    """How features become what a head is fitted on.

    Fewer rows than features lie in a space of as many dimensions as there are rows. A penalty on
    the length of the weights keeps them in it, and does not change when it is turned, so fitting
    there gives the same head, sooner.

    Attributes:
        mean: float64 `[d]`, of each feature.
        deviation: likewise; 1 where a feature is constant.
        turn: `[d,n]` with orthonormal columns, which span the rows; None for all dimensions.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    turn: NDArray[np.float64] | None

    def unfold(self, linear: Linear) -> Linear:
        """The same function, of features as they are."""
        kernel, bias = linear
        if self.turn is not None:
            kernel = self.turn @ kernel
        kernel = kernel / self.deviation[:, None]
        return Linear(kernel, bias - self.mean @ kernel)


def spanned_by(features: NDArray[Any], rows: NDArray[np.bool_]) -> tuple[Space, NDArray[Any]]:
    """The space of some rows of features `[n,d]`, and these rows in it."""
    # The mask copies, so that what follows may work in place.
    some = features[rows]
    standard = some.astype(np.float64 if some.size <= _EXACT else np.float32, copy=False)
    scaler = StandardScaler(copy=False)
    standard = scaler.fit_transform(standard)
    turn = None
    if len(standard) < min(standard.shape[1], _TURNED):
        turn, triangle = np.linalg.qr(standard.T)
        standard = np.ascontiguousarray(triangle.T)
    return Space(scaler.mean_, scaler.scale_, turn), standard
