"""Which of a file's layers are VGG16's: found by how they fit together, wherever they are.

Names decide where they are VGG's own (conv1_1, block1_conv1). Elsewhere it is the chain: thirteen
3x3 convolutions in a row, the first over three channels, each over as many channels as the one
before it gives. fc6 and fc7 are what fits on it; another head is passed over.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from natsort import natsort_keygen, ns

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.layers import Layer

# Keras writes block1_conv1, and fc1, fc2 for fc6, fc7; so does timm, with fc1 below pre_logits.
_VGG_NAMES = {
    name: key
    for key in (*vgg16.CONVOLUTIONS, *vgg16.VGG19_LAYERS)
    for name in (key, f"block{key[4]}_conv{key[6]}")
}
_FC_NAMES = {"fc6": ("fc6", "fc1"), "fc7": ("fc7", "fc2"), "fc8": ("fc8", "predictions")}
_FC_PER_CHANNEL = 8  # 4096 of fc6 and fc7 to the 512 of conv5_3

_natural = natsort_keygen(alg=ns.IGNORECASE)

Chosen = dict[str, Layer]
Scope = tuple[str, ...]


def choose(layers: Sequence[Layer]) -> Chosen:
    """VGG16's layers, by their names in `vgg16.LAYERS`.

    Args:
        layers: all layers of a network, VGG16 or more, in any order. Where their names say
            nothing, natural order of them is tried, then the order that is given.

    Raises:
        WeightsError: no VGG16, several, or another network of the family.
    """
    convolutions = [layer for layer in layers if layer.extent == (3, 3)]
    chosen = _by_names(convolutions) or _by_chain(convolutions)
    chosen |= connected(layers, chosen)
    check(chosen)
    return chosen


def connected(layers: Iterable[Layer], convolutions: Chosen) -> Chosen:
    """fc6, fc7 and fc8 on top of the convolutions: none where another head is there."""
    above = _above(convolutions)
    dense = [
        layer
        for layer in _sorted(layers)
        if layer.extent in ((), (1, 1), (7, 7)) and layer.path[: len(above)] == above
    ]
    by_name = {layer.path[-1]: layer for layer in dense if layer.path[:-1] == above}
    if "fc6" in by_name:
        return {name: by_name[name] for name in vgg16.FULLY_CONNECTED if name in by_name}
    channels = convolutions[vgg16.CONVOLUTIONS[-1]].outputs
    wide = channels * _FC_PER_CHANNEL
    found: Chosen = {}
    for name, inputs, outputs in (("fc6", channels, wide), ("fc7", wide, wide), ("fc8", wide, 0)):
        fitting = [
            layer
            for layer in dense
            if _fits(name, layer, inputs) and layer.outputs in (outputs or layer.outputs,)
            and layer not in found.values()
        ]  # fmt: skip
        if not fitting:
            break
        named = [layer for layer in fitting if layer.path[-1] in _FC_NAMES[name]]
        found[name] = (named or fitting)[0]
    return found


def check(chosen: Chosen) -> None:
    """See that layers chain up to a VGG16. Raises WeightsError."""
    shapes = {}
    for name, layer in chosen.items():
        bias = layer.bias.shape if layer.bias else (layer.outputs,)
        shapes[name] = vgg16.canonical_shape(name, layer.shape), bias
    vgg16.check(shapes)


def is_vgg16(run: Sequence[Layer]) -> bool:
    """Thirteen that fit, or the first thirteen of more, if their widths change as VGG16's do."""
    count = len(vgg16.CONVOLUTIONS)
    if len(run) <= count:
        return len(run) == count
    widths = dict(zip(vgg16.CONVOLUTIONS, (layer.outputs for layer in run), strict=False))
    even = all(len({widths[name] for name in block}) == 1 for block in vgg16.BLOCKS)
    return even and widths["conv3_3"] != widths["conv4_1"]


def _by_names(convolutions: Sequence[Layer]) -> Chosen:
    """The convolutions that one scope has under VGG's own names; none where there are none."""
    scopes: dict[Scope, Chosen] = {}
    for layer in convolutions:
        if name := _vgg_name(layer):
            scopes.setdefault(_scope(layer), {})[name] = layer
    whole = [scope for scope, found in scopes.items() if set(found) >= set(vgg16.CONVOLUTIONS)]
    if len(whole) > 1:
        raise WeightsError(f"it holds several networks, below {_listed(whole)}")
    found = scopes[whole[0]] if whole else max(scopes.values(), key=len, default={})
    extra = [name for name in vgg16.VGG19_LAYERS if name in found]
    if extra and whole:
        raise WeightsError(f"this is a VGG-19 (it has {', '.join(extra)}), not a VGG16")
    missing = [name for name in vgg16.CONVOLUTIONS if name not in found]
    if found and missing:
        raise WeightsError(f"no VGG16: it has no {', '.join(missing)}")
    return found


def _by_chain(convolutions: Sequence[Layer]) -> Chosen:
    orders = (_sorted(convolutions), list(convolutions))
    for order in orders:
        fitting = [run for run in _runs(order) if is_vgg16(run)]
        if len(fitting) > 1:
            scopes = [run[0].path[:-1] for run in fitting]
            raise WeightsError(f"it holds several networks, below {_listed(scopes)}")
        if fitting:
            return dict(zip(vgg16.CONVOLUTIONS, fitting[0], strict=False))
    longest = max((len(run) for order in orders for run in _runs(order)), default=0)
    raise WeightsError(f"no VGG16: {explain(len(convolutions), longest)}")


def explain(convolutions: int, in_a_row: int) -> str:
    """What was found in place of the thirteen convolutions."""
    text = f"it has {convolutions} 3x3 convolutions, expected 13"
    if in_a_row not in (0, convolutions):
        text = f"{text} in a row, but {in_a_row} is the longest"
    other = vgg16.RELATIVES.get(in_a_row)
    return f"{text} ({in_a_row} are those of a {other})" if other else text


def _runs(convolutions: Sequence[Layer]) -> list[list[Layer]]:
    """Each longest row of convolutions that begins over three channels and fits together."""
    runs: list[list[Layer]] = []
    broken = True
    for layer in convolutions:
        if layer.inputs == 3:
            runs.append([layer])
            broken = False
        elif not broken and runs[-1][-1].outputs == layer.inputs:
            runs[-1].append(layer)
        else:
            broken = True
    return runs


def _fits(name: str, layer: Layer, inputs: int) -> bool:
    if name == "fc6":
        return layer.shape[:-1] in ((vgg16.POSITIONS * inputs,), (7, 7, inputs))
    return layer.shape[:-1] in ((inputs,), (1, 1, inputs))


def _sorted(layers: Iterable[Layer]) -> list[Layer]:
    return sorted(layers, key=lambda layer: [_natural(part) for part in layer.path])


def _above(convolutions: Chosen) -> Scope:
    """The scope that fc6 must be in: that of VGG's own names, else what holds the convolutions."""
    first = convolutions[vgg16.CONVOLUTIONS[0]]
    if _vgg_name(first):
        return _scope(first)
    parents = {layer.path[:-1] for layer in convolutions.values()}
    if len(parents) == 1:
        return parents.pop()[:-1]
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*parents, strict=False))
    return tuple(parts[0] for parts in shared)


def _vgg_name(layer: Layer) -> str | None:
    return _VGG_NAMES.get(layer.path[-1]) if layer.path else None


def _scope(layer: Layer) -> Scope:
    """What stands before the name; TF-Slim's `conv1` of `conv1/conv1_1` is a part of the name."""
    scope = layer.path[:-1]
    return scope[:-1] if scope and re.fullmatch(r"conv\d", scope[-1]) else scope


def _listed(scopes: Sequence[Scope]) -> str:
    return " and ".join("/".join(scope) or "the top" for scope in scopes)
