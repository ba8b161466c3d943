"""The mean and deviation that a network subtracts and divides by itself, kept beside it.

`register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))` and the like, in
the module that holds the convolutions, in one around it, or in one beside those.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vggfeat.errors import WeightsError
from vggfeat.inputs import BGR, OXFORD_MEAN, RGB, Input, Triple
from vggfeat.weights.layers import Name
from vggfeat.weights.tensors import Tensor

DECLARED_BY = "the mean and std kept beside it"

_MEANS = ("mean", "_mean", "pixel_mean", "image_mean", "img_mean")
_CHANNELS = 3
_NEAR = 2.0  # grey levels between Oxford's mean and other means of ImageNet, at most


def declared(conv1_1: Name, tensors: Mapping[Name, Tensor]) -> Input | None:
    """What a mean and deviation say that is taken; None where there are none.

    Raises:
        WeightsError: there are several that differ.
    """
    found = {taken for name in tensors if (taken := _taken(name, conv1_1, tensors)) is not None}
    if len(found) > 1:
        raise WeightsError("it keeps several means of pixels beside its convolutions")
    return found.pop() if found else None


def _taken(name: Name, conv1_1: Name, tensors: Mapping[Name, Tensor]) -> Input | None:
    *scope, last = name
    if last not in _MEANS or not _is_around(tuple(scope), conv1_1):
        return None
    mean = _triple(tensors[name])
    deviation = tensors.get((*scope, last.replace("mean", "std")))
    std = (1.0, 1.0, 1.0) if deviation is None else _triple(deviation)
    if mean is None or std is None or min(mean) < 0 or max(mean) > 255 or min(std) <= 0:
        return None
    if max(mean) == 0:  # which of all scales that is, it does not say
        return None
    if max(mean) <= 1:
        mean, std = _times(mean), _times(std)
    # Blue is the darkest of ImageNet, red the brightest.
    is_bgr = np.allclose(mean, OXFORD_MEAN[::-1], rtol=0, atol=_NEAR)
    return Input(BGR, mean[::-1], std[::-1]) if is_bgr else Input(RGB, mean, std)


def _is_around(scope: Name, conv1_1: Name) -> bool:
    return scope in (conv1_1[: len(scope)], (*conv1_1[: len(scope) - 1], *scope[-1:]))


def _triple(tensor: Tensor) -> Triple | None:
    """Three numbers, whatever sides of one are around them."""
    if not tensor.is_float or sorted(tensor.shape)[-1:] != [_CHANNELS]:
        return None
    if any(side not in (1, _CHANNELS) for side in tensor.shape) or tensor.shape.count(3) > 1:
        return None
    first, second, third = (round(float(value), 6) for value in tensor.read().ravel())
    return first, second, third


def _times(values: Triple) -> Triple:
    first, second, third = (255 * value for value in values)
    return first, second, third
