"""Which of a file's layers are VGG16's: found by how they fit together, wherever they are.

Names decide where they are VGG's own (conv1_1, block1_conv1). Elsewhere it is the chain: thirteen
3x3 convolutions in a row, the first over three channels, each over as many channels as the one
before it gives. fc6 and fc7 are what fits on it; another head is passed over.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights import names
from vggfeat.weights.fully_connected import connected
from vggfeat.weights.layers import Layer

_VGG_NAMES = {
    name: key
    for key in (*vgg16.CONVOLUTIONS, *vgg16.VGG19_LAYERS)
    for name in (key, names.keras(key))
}

_FIRST_WIDTH = vgg16.WIDTHS[vgg16.CONVOLUTIONS[0]]

Chosen = dict[str, Layer]
Scope = tuple[str, ...]


def choose(layers: Sequence[Layer], *, ordered: bool = False) -> Chosen:
    """VGG16's layers, by their names in `vgg16.LAYERS`.

    Args:
        layers: all layers of a network, VGG16 or more.
        ordered: they are given in the order in which the network was defined. That counts where
            their names are words; names that differ by numbers are put in the order of these.

    Raises:
        WeightsError: no VGG16, several, or another network of the family.
    """
    in_order: Sequence[Layer] = _sorted(layers)
    chosen = _by_names(_convolutions(in_order))
    if not chosen:
        in_order, chosen = _by_chain(layers, ordered)
    chosen |= connected(in_order, chosen[vgg16.CONVOLUTIONS[-1]].outputs, _above(chosen))
    check(chosen)
    return chosen


def check(chosen: Chosen) -> None:
    """See that layers chain up to a VGG16. Raises WeightsError."""
    shapes = {}
    for name, layer in chosen.items():
        bias = layer.bias.shape if layer.bias else (layer.outputs,)
        shapes[name] = vgg16.canonical_shape(name, layer.shape), bias
    vgg16.check(shapes)


def _is_vgg16(run: Sequence[Layer]) -> bool:
    """Thirteen, or the first thirteen of more, whose widths change where VGG16's do.

    Thirteen are the first of many networks: of VGG-19's, cut at relu5_1, and of CSRNet's, which
    goes on from VGG16's first ten in a module of its own.
    """
    count = len(vgg16.CONVOLUTIONS)
    if len(run) < count:
        return False
    widths = dict(zip(vgg16.CONVOLUTIONS, (layer.outputs for layer in run), strict=False))
    if any(len({widths[name] for name in block}) > 1 for block in vgg16.BLOCKS):
        return False
    if len(run) == count:
        return True
    first, last, following = (run[at].path[:-1] for at in (0, count - 1, count))
    return widths["conv3_3"] != widths["conv4_1"] and not first != last == following


def _convolutions(layers: Iterable[Layer]) -> list[Layer]:
    return [layer for layer in layers if layer.extent == (3, 3)]


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


def _by_chain(layers: Sequence[Layer], ordered: bool) -> tuple[Sequence[Layer], Chosen]:
    """The convolutions, and all layers in the order in which they were found."""
    kinds = {re.sub(r"[\d_.-]", "", "/".join(layer.path)) for layer in _convolutions(layers)}
    orders = [_sorted(layers), list(layers)]
    if ordered and len(kinds) > 1:
        orders.reverse()
    for order in orders:
        fitting = [run for run in _runs(_convolutions(order)) if _is_vgg16(run)]
        if len(fitting) > 1:
            scopes = [run[0].path[:-1] for run in fitting]
            raise WeightsError(f"it holds several networks, below {_listed(scopes)}")
        if fitting:
            return order, dict(zip(vgg16.CONVOLUTIONS, fitting[0], strict=False))
    convolutions = _convolutions(layers)
    longest = max(
        (run for order in orders for run in _runs(_convolutions(order))), key=len, default=[]
    )
    if len(longest) == len(vgg16.CONVOLUTIONS):
        raise WeightsError(
            "no VGG16: it has thirteen 3x3 convolutions in a row, but their widths change at other "
            "places than VGG16's"
        )
    firsts = {layer.inputs for layer in convolutions if layer.outputs == _FIRST_WIDTH}
    raise WeightsError(f"no VGG16: {explain(len(convolutions), len(longest))}{_said_of(firsts)}")


def _said_of(channels: set[int]) -> str:
    """That the first convolution is over grey or depth, if one of them may be that."""
    odd = sorted(channels & {1, 4})
    return f"; the first is over {odd[0]} channels, VGG16's over 3" if odd else ""


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


def _sorted(layers: Iterable[Layer]) -> list[Layer]:
    return sorted(layers, key=lambda layer: names.natural(layer.path))


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
