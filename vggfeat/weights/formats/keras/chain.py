"""Whether the layers chosen from a Keras model follow each other as VGG16's do.

Its configuration tells what each layer does and what stands between them. What differs among the
convolutions is refused; what differs above them leaves out the head from there on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.formats.keras import geometry
from vggfeat.weights.formats.keras.batch_norm import NORM, folded, folds
from vggfeat.weights.formats.keras.config import (
    LEARNING,
    Node,
    activation,
    before,
    is_plain_relu,
)
from vggfeat.weights.formats.keras.layers import Part
from vggfeat.weights.layers import Layer

# What leaves numbers as they are, once a network no longer learns.
SILENT = (
    *("InputLayer", "Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise"),
    *("AlphaDropout", "ActivityRegularization", "Identity"),
)
_FLATTENING = ("Flatten", "Reshape")
_POOLED = (*(next(iter(block)) for block in vgg16.BLOCKS[1:]), "fc6")
_MOST_AHEAD = 256  # layers looked at behind one


@dataclass(frozen=True)
class Rectified:
    """What a layer's output goes through up to its ReLU: perhaps a normalisation."""

    norm: Node | None


def checked(
    chosen: Mapping[str, Layer],
    node_of: Mapping[str, Node | None],
    part_of: Mapping[Node, Part],
    nodes: Iterable[Node],
) -> dict[str, Layer]:
    """The chosen layers, with what normalises their outputs; another head is left out.

    Args:
        node_of: what the configuration says of each; of the convolutions it must say it.
        part_of: the weights of each layer.
        nodes: all layers of the model.

    Raises:
        WeightsError: something among the convolutions that VGG16 does not have there.
    """
    takers = _takers(nodes)
    kept: dict[str, Layer] = {}
    previous, norm = None, None
    for name, layer in chosen.items():
        node = node_of[name]
        if node is None:
            break
        differs = _unlike(name, node, previous, norm)
        found = _rectified(node, takers) if name != "fc8" else _classifying(node, takers)
        if not differs and found is None:
            differs = f"{node.name} ({node.kind}) is {activation(node)}, expected relu"
        if differs and name in vgg16.FULLY_CONNECTED:
            break
        if differs:
            raise WeightsError(f"no VGG16: {differs}")
        previous, norm = node, found.norm if found else None
        kept[name] = layer if norm is None else folded(layer, norm, part_of)
    return kept


def _unlike(name: str, node: Node, previous: Node | None, norm: Node | None) -> str:
    """How what is before a layer, or its geometry, differs from VGG16; empty where it does not.

    Args:
        previous: the layer of VGG16 before it.
        norm: what is folded into that one.
    """
    way, source = before(node, LEARNING)
    pads = [step for step in way if step.kind == geometry.PAD]
    if previous is None:  # what is done to pixels is looked at elsewhere
        return geometry.unlike(node, name, pads)
    steps = way[::-1]
    for step in steps:
        if not _may_stand(step, name, previous) or (step.kind == NORM and step is not norm):
            return (
                f"{step.name} ({step.kind}) stands before {name}, where VGG16 has nothing of "
                "the kind that could be folded into a convolution"
            )
    if source is not previous:
        return f"{node.name} ({node.kind}) does not take what {previous.name} gives"
    if norm is not None and norm not in steps:
        return f"{norm.name} ({NORM}) does not stand before {name}, but before a ReLU elsewhere"
    if activation(previous) != "relu" and not any(map(_is_relu, steps)):
        return f"no ReLU stands between {previous.name} and {node.name}"
    return _unlike_pools(name, steps) or geometry.unlike(node, name, pads)


def _unlike_pools(name: str, steps: Sequence[Node]) -> str:
    pools = [step for step in steps if step.kind == geometry.POOL]
    if len(pools) != (name in _POOLED):
        return f"{len(pools)} max poolings stand before {name}, expected {int(name in _POOLED)}"
    if differs := next(filter(None, map(geometry.unlike_pool, pools)), ""):
        return differs
    kinds = [step.kind for step in steps]
    if pools and geometry.PAD in kinds[: kinds.index(geometry.POOL)]:
        return f"{geometry.PAD} stands before {pools[0].name} ({geometry.POOL})"
    return ""


def _may_stand(step: Node, name: str, previous: Node) -> bool:
    if step.kind == NORM:
        return folds(step)
    if step.kind in _FLATTENING:
        return name in ("fc7", "fc8") or (name == "fc6" and _flattens(step, previous))
    silent = step.kind in (*SILENT, geometry.POOL, geometry.PAD)
    return silent or _is_relu(step) or _is_linear(step)


def _flattens(step: Node, previous: Node) -> bool:
    """Whether all positions become one axis, in the order H, W, channel."""
    if step.kind == "Flatten":
        return geometry.channels_first(step) == geometry.channels_first(previous)
    shape = step.config.get("target_shape")
    return isinstance(shape, list) and len(shape) == 1


def _takers(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """The layers that take each layer's output."""
    takers: dict[Node, list[Node]] = {}
    for node in nodes:
        for source in node.sources:
            takers.setdefault(source, []).append(node)
    return takers


def _rectified(node: Node, takers: Mapping[Node, Sequence[Node]]) -> Rectified | None:
    """The ReLU behind a layer, by whichever branch leads to one; None where there is none."""
    if activation(node) == "relu":
        return Rectified(None)
    if activation(node) != "linear":
        return None
    queue: list[tuple[Node, Node | None]] = [(node, None)]
    for at, norm in queue:  # which grows
        for step in takers.get(at, ()):
            if _is_relu(step):
                return Rectified(norm)
            if step.kind == NORM and folds(step):
                queue.append((step, step))
            elif step.kind in (*SILENT, *_FLATTENING, geometry.POOL) or _is_linear(step):
                queue.append((step, norm))
        if len(queue) > _MOST_AHEAD:
            break
    return None


def _classifying(node: Node, takers: Mapping[Node, Sequence[Node]]) -> Rectified:
    """Behind the last layer: a normalisation before what makes probabilities of it."""
    norms = (step for step in takers.get(node, ()) if step.kind == NORM and folds(step))
    return Rectified(next(norms, None))


def _is_relu(step: Node) -> bool:
    if step.kind == "Activation":
        return activation(step) == "relu"
    return step.kind == "ReLU" and is_plain_relu(step.config)


def _is_linear(step: Node) -> bool:
    return step.kind == "Activation" and activation(step) == "linear"
