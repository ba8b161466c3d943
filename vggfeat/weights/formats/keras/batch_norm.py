"""Batch normalisation in Keras models: folded where the model says that it may be.

Weights alone do not tell whether a normalisation stands before the ReLU or behind it. Behind it, it
cannot be folded into the layer; between other layers neither. So it takes the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.keras.config import LEARNING, Node, activation
from vggfeat.weights.formats.keras.geometry import DENSE, channels_first
from vggfeat.weights.formats.keras.layers import Part
from vggfeat.weights.layers import Layer, batch_norm
from vggfeat.weights.tensors import Tensor

NORM = "BatchNormalization"
_EPSILON = 1e-3  # Keras' default


def folds(norm: Node) -> bool:
    """Whether a normalisation stands right behind a layer that learns, before its ReLU."""
    source = norm.sources[0] if len(norm.sources) == 1 else None
    if source is None or source.kind not in LEARNING or activation(source) != "linear":
        return False
    over_first = source.kind != DENSE and channels_first(source)
    axes = (1, [1]) if over_first else (-1, 3, [-1], [3])
    return norm.config.get("axis", -1) in axes


def folded(layer: Layer, norm: Node, part_of: Mapping[Node, Part]) -> Layer:
    """A layer with the normalisation behind it. Raises WeightsError: its weights do not fit."""
    part = part_of.get(norm)
    if part is None:
        raise WeightsError(f"damaged: the weights of {norm.name} are missing")
    weights = _by_role(part, norm)
    if any(tensor.shape != (layer.outputs,) or not tensor.is_float for tensor in weights.values()):
        raise WeightsError(f"damaged: {norm.name} does not fit the layer before it")
    if not {"moving_mean", "moving_variance"} <= set(weights):
        raise WeightsError(f"damaged: the weights of {norm.name} are missing")
    arrays = {role: tensor.read() for role, tensor in weights.items()}
    epsilon = float(norm.config.get("epsilon", _EPSILON))
    affine = batch_norm(
        arrays.get("gamma", 1.0),
        arrays.get("beta", 0.0),
        arrays["moving_mean"],
        arrays["moving_variance"],
        epsilon,
    )
    return replace(layer, affine=affine)


def _by_role(part: Part, norm: Node) -> dict[str, Tensor]:
    """Keras 3 numbers them, and leaves out those that the settings leave out."""
    if "moving_mean" in part.weights:
        return part.weights
    roles = [
        role for role, key in (("gamma", "scale"), ("beta", "center")) if norm.config.get(key, True)
    ]
    roles += ["moving_mean", "moving_variance"]
    return dict(zip(roles, part.weights.values(), strict=False))
