"""What may be wrong with weights whose vectors are not the reference's, and what they would be.

What a wrong import does to a network is little: conv1_1 flipped or of another scale, another mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vggfeat.inputs import OXFORD_MEAN, SCALES
from vggfeat.weights import Weights


def explanations(weights: Weights) -> Iterator[tuple[str, Weights]]:
    """Sentences that say what is wrong, each with the weights as they would be put right."""
    means = _said_of_mean(weights.tensors["mean"])
    for flip in (False, True):
        order = "the channels of conv1_1 are in the wrong order" if flip else ""
        for scale, (_, divisor) in SCALES.items():
            scales = "" if divisor[0] == 1 else f"conv1_1 is of another scale ({scale})"
            sentence = " and ".join(part for part in (order, means, scales) if part)
            for factor in (np.array(divisor), 1 / np.array(divisor)) if sentence else ():
                yield sentence, _put_right(weights, flip, factor)


def _said_of_mean(mean: NDArray[np.float32]) -> str:
    if np.allclose(mean, OXFORD_MEAN, atol=0.01):
        return ""
    if np.allclose(mean[::-1], OXFORD_MEAN, atol=0.01):
        return "the mean is in the wrong order"
    return f"the mean is {_listed(mean)}, not Oxford's {_listed(OXFORD_MEAN)}"


def _put_right(weights: Weights, flip: bool, factor: NDArray[np.float64]) -> Weights:
    kernel = weights.tensors["conv1_1/kernel"]
    rgb = kernel[:, :, ::-1] if flip else kernel
    changed = {
        "conv1_1/kernel": np.ascontiguousarray(rgb * factor[:, None], np.float32),
        "mean": np.array(OXFORD_MEAN, np.float32),
    }
    return replace(weights, tensors={**weights.tensors, **changed})


def _listed(mean: Iterable[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in mean)}]"
