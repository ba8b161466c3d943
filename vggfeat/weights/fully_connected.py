"""Which dense layers on top of VGG16's convolutions are its own, and which another head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vggfeat import vgg16
from vggfeat.weights.layers import Layer

_FC_PER_CHANNEL = 8  # 4096 of fc6 and fc7 to the 512 of conv5_3

Chosen = dict[str, Layer]
Scope = tuple[str, ...]


def connected(layers: Iterable[Layer], channels: int, above: Scope = ()) -> Chosen:
    """fc6, fc7 and fc8 on top of the convolutions: none where another head is there, or several.

    Args:
        layers: in the network's order.
        channels: that conv5_3 gives.
        above: the scope in which fc6 must be.
    """
    everywhere = list(layers)
    dense = [
        layer
        for layer in everywhere
        if layer.extent in ((), (1, 1), (7, 7)) and layer.path[: len(above)] == above
    ]
    by_name = {layer.path[-1]: layer for layer in dense if layer.path[:-1] == above}
    if "fc6" in by_name:
        return {name: by_name[name] for name in vgg16.FULLY_CONNECTED if name in by_name}
    if any(layer.shape == (1, 1, channels, channels) for layer in everywhere):
        return {}  # it may well lie between pool5 and fc6
    wide = channels * _FC_PER_CHANNEL
    heads = [
        _head(layer, dense)
        for layer in dense
        if layer.outputs == wide
        and layer.shape[:-1] in ((vgg16.POSITIONS * channels,), (7, 7, channels))
    ]
    heads = [head for head in heads if "fc7" in head] or heads
    if len(heads) > 1:
        heads = [head for head in heads if head["fc6"].path[-1] == "fc1"]
    return heads[0] if len(heads) == 1 else {}


def _head(fc6: Layer, dense: Sequence[Layer]) -> Chosen:
    """What follows fc6 at once, beside it, as far as it is VGG16's; fc8 may be anywhere."""
    wide = fc6.outputs
    beside = [layer for layer in dense if layer.path[:-1] == fc6.path[:-1]]
    behind = beside[beside.index(fc6) + 1 :]
    if not behind or _matrix(behind[0]) != (wide, wide):
        return {"fc6": fc6}
    head = {"fc6": fc6, "fc7": behind[0]}
    others = [layer for layer in dense if layer not in beside and layer.inputs == wide]
    last = behind[1:2] if len(behind) > 1 else others
    if len(last) == 1 and _matrix(last[0])[0] == wide:
        head["fc8"] = last[0]
    return head


def _matrix(layer: Layer) -> vgg16.Shape:
    """The shape of a dense layer, also of one that is kept as a 1x1 convolution."""
    return layer.shape[-2:] if layer.extent in ((), (1, 1)) else (0, 0)
