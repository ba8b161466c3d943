"""Batch normalisation in Keras models: folded where the model says that it may be.

Weights alone do not tell whether a normalisation stands before the ReLU or behind it. Behind it, it
cannot be folded into the layer; between other layers neither. So it takes the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.formats.keras.config import Node, activation, before
from vggfeat.weights.formats.keras.layers import Part
from vggfeat.weights.layers import Layer, batch_norm
from vggfeat.weights.tensors import Tensor

_LEARNING = ("Conv2D", "Dense", "Convolution2D")
_NORM = "BatchNormalization"
# What may stand between VGG16's layers: nothing else leaves their numbers as they are.
_SILENT = ("Dropout", "SpatialDropout2D", "MaxPooling2D", "Flatten", "ZeroPadding2D", "Reshape")
_EPSILON = 1e-3  # Keras' default


def folded(
    chosen: Mapping[str, Layer], parts: Sequence[Part], nodes: Mapping[Part, Node]
) -> dict[str, Layer]:
    """The chosen layers, with what normalises their outputs; another head is left out.

    Args:
        parts: all of the file.
        nodes: what the configuration says of each part; empty where there is none.

    Raises:
        WeightsError: something among the convolutions that VGG16 does not have there.
    """
    by_path = {part.path: part for part in reversed(parts)}
    node_of = {name: nodes.get(by_path[layer.path]) for name, layer in chosen.items()}
    if any(node_of[name] is None for name in vgg16.CONVOLUTIONS):
        _check_no_norms(chosen, parts)
        return dict(chosen)
    part_of = {node: part for part, node in nodes.items()}
    kept: dict[str, Layer] = {}
    for name, layer in chosen.items():
        node = node_of[name]
        if node is None:
            break
        way = _way_to(node, first=name == vgg16.CONVOLUTIONS[0])
        wrong = next((n for n in way if not _may_stand(n, way)), None)
        if wrong is not None and name in vgg16.FULLY_CONNECTED:
            break
        if wrong is not None:
            raise WeightsError(
                f"{wrong.name} ({wrong.kind}) stands before {name}, where VGG16 has nothing of "
                "the kind that could be folded into a convolution"
            )
        kept[name] = layer
        _fold_into_previous(kept, name, way, part_of)
    _fold_last(kept, nodes, node_of)
    return kept


def _way_to(node: Node, *, first: bool) -> list[Node]:
    """From the layer that learns before it (which is the last), or nothing for the first."""
    if first:
        return []
    way, source = before(node, _LEARNING)
    return way if source is None else [*way, source]


def _may_stand(node: Node, way: Sequence[Node]) -> bool:
    if node.kind == _NORM:
        return _norm_folds(node)
    if node.kind == "Activation" or node.kind in _LEARNING:
        return activation(node) in ("relu", "linear")
    return node.kind in (*_SILENT, "ReLU", "InputLayer") and not node.config.get("negative_slope")


def _norm_folds(node: Node) -> bool:
    source = node.sources[0] if len(node.sources) == 1 else None
    return (
        source is not None
        and source.kind in _LEARNING
        and activation(source) == "linear"
        and node.config.get("axis", -1) in (-1, 3, [-1], [3])
    )


def _fold_into_previous(
    kept: dict[str, Layer], name: str, way: Sequence[Node], part_of: Mapping[Node, Part]
) -> None:
    norm = next((node for node in way if node.kind == _NORM), None)
    if norm is None:
        return
    previous = list(kept)[list(kept).index(name) - 1]
    kept[previous] = _with(kept[previous], norm, part_of)


def _fold_last(
    kept: dict[str, Layer], nodes: Mapping[Part, Node], node_of: Mapping[str, Node | None]
) -> None:
    """What stands behind the last layer has no layer above it that would meet it."""
    last = list(kept)[-1]
    part_of = {node: part for part, node in nodes.items()}
    norms = [node for node in part_of if node.kind == _NORM and node.sources == (node_of[last],)]
    if norms and kept[last].affine is None and _norm_folds(norms[0]):
        kept[last] = _with(kept[last], norms[0], part_of)


def _with(layer: Layer, norm: Node, part_of: Mapping[Node, Part]) -> Layer:
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
    with np.errstate(all="ignore"):  # what comes out as NaN is refused with the numbers
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


def _check_no_norms(chosen: Mapping[str, Layer], parts: Sequence[Part]) -> None:
    """Without a configuration: refuse where each width of the convolutions is normalised."""
    widths = {chosen[name].outputs for name in vgg16.CONVOLUTIONS}
    if widths <= {part.normalised for part in parts if "bias" not in part.weights}:
        raise WeightsError(
            "it normalises batches between its convolutions, and weights alone do not tell "
            "whether before the ReLU or behind it: give the whole model, as model.save writes it"
        )
