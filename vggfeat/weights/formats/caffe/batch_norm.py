"""Batch normalisation in Caffe models, folded into the layer before it.

`BatchNorm` keeps mean, variance, and the factor by which both are too large
(src/caffe/layers/batch_norm_layer.cpp); `Scale` behind it keeps gamma and beta. Layers stand in the
order of the data, and name the blobs they take and give.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.caffe.routes import Route
from vggfeat.weights.formats.caffe.steps import Step
from vggfeat.weights.layers import Affine, Layer, batch_norm, then
from vggfeat.weights.tensors import Tensor

_NORM, _SCALE = "BatchNorm", "Scale"


def folded(layer: Layer, step: Step, route: Route) -> tuple[Layer, Route]:
    """A layer with the BatchNorm and Scale directly behind it, and what else is on its route.

    Args:
        step: the same layer, as the file lists it.
        route: what stands behind it.

    Raises:
        WeightsError: what normalises it has other numbers than it has outputs.
    """
    tops = step.tops
    for kind in (_NORM, _SCALE):
        following = route[0] if route else None
        if following is None or following.kind != kind or list(following.bottoms) != list(tops):
            continue
        factor, offset = _normalising(following) if kind == _NORM else _scaling(following)
        if {len(factor), len(offset)} != {layer.outputs}:
            raise WeightsError(f"damaged: {following.name} does not fit the layer before it")
        layer = replace(layer, affine=then(layer.affine, (factor, offset)))
        tops, route = following.tops, route[1:]
    return layer, route


def _normalising(step: Step) -> Affine:
    if len(step.blobs) < 3:
        raise WeightsError(f"damaged: {step.name} lacks numbers")
    mean, variance, count = (_numbers(blob) for blob in step.blobs[:3])
    with np.errstate(all="ignore"):
        by = 1 / count[0] if len(count) and count[0] else 0.0
        mean, variance = mean * by, variance * by
    return batch_norm(1.0, 0.0, mean, variance, step.epsilon)


def _scaling(step: Step) -> Affine:
    if not step.blobs:
        raise WeightsError(f"damaged: {step.name} lacks numbers")
    gamma = _numbers(step.blobs[0])
    return gamma, _numbers(step.blobs[1]) if len(step.blobs) > 1 else np.zeros(len(gamma))


def _numbers(blob: Tensor) -> NDArray[np.float64]:
    return blob.read().reshape(-1).astype(np.float64)
