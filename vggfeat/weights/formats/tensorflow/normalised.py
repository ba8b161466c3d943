"""Batch normalisation in TensorFlow checkpoints: folded where it is sure what it normalises.

Slim keeps it below its layer, `conv1_1/BatchNorm/moving_mean`, and applies it before the ReLU
(tf_slim/layers/layers.py, `conv2d`). Keras keeps it as a layer of its own, which a checkpoint does
not say to be before or behind the ReLU: behind it, it cannot be folded, so it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.layers import Float64, Layer, batch_norm
from vggfeat.weights.structure import Chosen
from vggfeat.weights.tensors import Tensor

NORM = ("gamma", "beta", "moving_mean", "moving_variance")

_EPSILON = 1e-3  # the default of Slim's batch_norm
_SLIM = "BatchNorm"

Groups = Mapping[tuple[str, ...], Mapping[str, Tensor]]


def with_norms(chosen: Chosen, groups: Groups) -> Chosen:
    """The layers with what Slim's normalisation does to them.

    Args:
        groups: the parts of all layers by their paths, in the order of the checkpoint.

    Raises:
        WeightsError: a normalisation between the convolutions that is not Slim's.
    """
    folded = {name: _folded(name, layer, groups) for name, layer in chosen.items()}
    convolutions = [chosen[name] for name in vgg16.CONVOLUTIONS]
    _check_no_other(convolutions, groups)
    return folded


def _folded(name: str, layer: Layer, groups: Groups) -> Layer:
    parts = groups.get((*layer.path, _SLIM))
    if parts is None:
        return layer
    shapes = {part: tensor.shape for part, tensor in parts.items()}
    if not {"moving_mean", "moving_variance"} <= set(parts) or set(shapes.values()) != {
        (layer.outputs,)
    }:
        raise WeightsError(f"damaged: the batch normalisation of {name} is not whole")
    return replace(layer, affine=_affine(parts))


def _affine(parts: Mapping[str, Tensor]) -> tuple[Float64, Float64]:
    gamma = parts["gamma"].read() if "gamma" in parts else 1.0  # Slim's scale=False
    beta = parts["beta"].read() if "beta" in parts else 0.0
    mean, variance = parts["moving_mean"].read(), parts["moving_variance"].read()
    return batch_norm(gamma, beta, mean, variance, _EPSILON)


def _check_no_other(convolutions: list[Layer], groups: Groups) -> None:
    """See that no normalisation lies between the convolutions.

    It does where the checkpoint has it between them. Where names are sorted by class, as Keras'
    are in graphs of TensorFlow 1, it does if there is one for each width of the convolutions.
    """
    order = list(groups)
    places = [order.index(layer.path) for layer in convolutions]
    others = {
        path: parts["moving_variance"].shape
        for path, parts in groups.items()
        if "moving_variance" in parts and path[-1:] != (_SLIM,)
    }
    inside = [path for path in others if min(places) < order.index(path) < max(places)]
    if not inside and {(layer.outputs,) for layer in convolutions} <= set(others.values()):
        inside = list(others)
    if inside:
        raise WeightsError(
            f"it normalises batches between the convolutions ({'/'.join(inside[0])} ...), and a "
            "checkpoint does not say whether before the ReLU or behind it"
        )
