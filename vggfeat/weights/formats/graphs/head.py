"""fc6, fc7 and fc8 of a graph, dense or as convolutions: what follows pool5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vggfeat import vgg16
from vggfeat.weights import structure
from vggfeat.weights.formats.graphs import links
from vggfeat.weights.formats.graphs.axes import DENSE_AXES
from vggfeat.weights.formats.graphs.chain import Layers, Row, complete
from vggfeat.weights.formats.graphs.graph import Graph
from vggfeat.weights.formats.graphs.links import Element
from vggfeat.weights.fully_connected import connected as connected_in
from vggfeat.weights.layers import Layer

_COUNT = len(vgg16.FULLY_CONNECTED)


def connected(graph: Graph, layers: Layers, row: Row, chosen: dict[str, Layer]) -> structure.Chosen:
    """What of fc6, fc7 and fc8 there is: the longest row of them, none where another head is.

    Args:
        row: VGG16's convolutions.
        chosen: the same, by their names.
    """
    best: structure.Chosen = {}
    channels = chosen[vgg16.CONVOLUTIONS[-1]].outputs
    for element in layers.elements.values():
        whole = layers.row(element, row[-1])
        if whole[0] is not row[-1] or not 1 < len(whole) <= _COUNT + 1:
            continue
        found = connected_in(list(_fitting(graph, layers, whole)), channels)
        if len(found) > len(best):
            best = found
    return best


def _fitting(graph: Graph, layers: Layers, row: Row) -> Iterator[Layer]:
    """The layers behind the last convolution, as far as VGG16 goes the same way."""
    before = layers.links(row)
    for number, (element, link) in enumerate(zip(row[1:], before, strict=True)):
        pooled = number == 0
        if link.unlike or not link.relu or link.pools != pooled or link.axes != element.axes:
            return
        if not _is_connected(element) or (pooled and link.averaged):
            return
        behind = links.behind(graph, element)
        is_fc8 = number == _COUNT - 1
        if not is_fc8 and behind.unlike and not behind.relu:
            return
        if element.axes == DENSE_AXES and pooled and not link.flatten:
            return
        layer = replace(element.layer, path=(str(number),), flatten=link.flatten or "hwc")
        yield complete(layer, behind)


def _is_connected(element: Element) -> bool:
    told = element.node.attributes
    return element.axes == DENSE_AXES or (
        (told["strides"], told["dilations"], told["group"]) == ((1, 1), (1, 1), 1)
    )
