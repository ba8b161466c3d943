"""Batch normalisation in Caffe models, folded into the layer before it.

`BatchNorm` keeps mean, variance, and the factor by which both are too large
(src/caffe/layers/batch_norm_layer.cpp); `Scale` behind it keeps gamma and beta. Layers stand in the
order of the data, and name the blobs they take and give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.layers import Float64, Layer, batch_norm
from vggfeat.weights.tensors import Tensor

LEARNING = ("Convolution", "InnerProduct")
_NORM, _SCALE = "BatchNorm", "Scale"
# What changes the numbers between layers in a way that VGG16 does not.
_FOREIGN = (
    _NORM,
    _SCALE,
    "BN",
    "Bias",
    "ELU",
    "LRN",
    "MVN",
    "Normalize",
    "PReLU",
    "Sigmoid",
    "TanH",
)


@dataclass(frozen=True)
class Step:
    """A layer of any kind.

    Attributes:
        kind: as LayerParameter names it.
        bottoms: the blobs it takes.
        tops: the blobs it gives.
        transposed: of an InnerProduct, that its kernel is `[in,out]`.
        epsilon: of a BatchNorm.
    """

    name: str
    kind: str
    bottoms: Sequence[str]
    tops: Sequence[str]
    blobs: Sequence[Tensor]
    transposed: bool = False
    epsilon: float = 1e-5


def folded(
    chosen: Mapping[str, Layer], places: Mapping[str, int], steps: Sequence[Step]
) -> dict[str, Layer]:
    """The chosen layers with what normalises their outputs; another head is left out.

    Args:
        places: where among the steps each layer is.

    Raises:
        WeightsError: between the convolutions stands what cannot be folded.
    """
    kept: dict[str, Layer] = {}
    begin = places[vgg16.CONVOLUTIONS[0]]
    for name, layer in chosen.items():
        foreign = next((s for s in steps[begin : places[name]] if s.kind in _FOREIGN), None)
        if foreign is not None and name in vgg16.FULLY_CONNECTED:
            break
        if foreign is not None:
            raise WeightsError(
                f"{foreign.name} ({foreign.kind}) stands before {name}, where it cannot be folded "
                "into a convolution"
            )
        kept[name], begin = _folded(layer, places[name], steps)
    return kept


def _folded(layer: Layer, place: int, steps: Sequence[Step]) -> tuple[Layer, int]:
    """The layer with the BatchNorm and Scale directly behind it, and the place behind them."""
    tops = steps[place].tops
    place += 1
    for kind in (_NORM, _SCALE):
        step = steps[place] if place < len(steps) else None
        if step is not None and step.kind == kind and list(step.bottoms) == list(tops):
            factor, offset = _normalising(step) if kind == _NORM else _scaling(step)
            if {len(factor), len(offset)} != {layer.outputs}:
                raise WeightsError(f"damaged: {step.name} does not fit the layer before it")
            before = layer.affine or (np.ones(layer.outputs), np.zeros(layer.outputs))
            layer = replace(layer, affine=(before[0] * factor, before[1] * factor + offset))
            tops, place = step.tops, place + 1
    return layer, place


def _normalising(step: Step) -> tuple[Float64, Float64]:
    if len(step.blobs) < 3:
        raise WeightsError(f"damaged: {step.name} lacks numbers")
    mean, variance, count = (_numbers(blob) for blob in step.blobs[:3])
    by = 1 / count[0] if len(count) and count[0] else 0.0
    with np.errstate(all="ignore"):  # what comes out as NaN is refused with the numbers
        return batch_norm(1.0, 0.0, mean * by, variance * by, step.epsilon)


def _scaling(step: Step) -> tuple[Float64, Float64]:
    if not step.blobs:
        raise WeightsError(f"damaged: {step.name} lacks numbers")
    gamma = _numbers(step.blobs[0])
    return gamma, _numbers(step.blobs[1]) if len(step.blobs) > 1 else np.zeros(len(gamma))


def _numbers(blob: Tensor) -> NDArray[np.float64]:
    return blob.read().reshape(-1).astype(np.float64)
