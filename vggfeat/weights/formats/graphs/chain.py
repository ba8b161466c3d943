"""VGG16 in a graph: thirteen convolutions in a row with its ReLUs and pools between them.

From each layer the graph is followed back to the layer before it. So branches, heads halfway and
whatever comes before or behind do not matter, and names are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights import structure
from vggfeat.weights.formats.graphs import links
from vggfeat.weights.formats.graphs.graph import SAME, Graph, Node
from vggfeat.weights.formats.graphs.links import Element, Link
from vggfeat.weights.layers import Layer

_COUNT = len(vgg16.CONVOLUTIONS)

# Of configuration D: the convolutions, counted from one, that a pool follows.
_POOLED = {2, 4, 7, 10, 13}
_MOST_IN_A_ROW = 64
_MOST_LAYERS = 1 << 13

Row = tuple[Element, ...]


@dataclass(frozen=True)
class Layers:
    """The layers of a graph, each with the one before it.

    Attributes:
        elements: in the file's order, by the identity of their nodes.
        before: the layer and the link that lead to each, where there is one.
    """

    elements: Mapping[Node, Element]
    before: Mapping[Node, tuple[Element, Link]]

    def row(self, last: Element, first: Element | None = None) -> Row:
        """The layers up to `last`: from `first`, else from the nearest one over three channels."""
        found = [last]
        while len(found) < _MOST_IN_A_ROW:
            node = found[-1].node
            at_start = found[-1] is first if first else _is_first(found[-1])
            if at_start or node not in self.before:
                break
            found.append(self.before[node][0])
        return tuple(reversed(found))

    def links(self, row: Row) -> list[Link]:
        return [self.before[element.node][1] for element in row[1:]]


def layers_of(graph: Graph) -> Layers:
    """All convolutions and matrix products with constant kernels, and how they follow."""
    elements: dict[Node, Element] = {}
    for node in graph.nodes:
        found = links.element(graph, node)
        if found is not None:
            elements[node] = found
    if len(elements) > _MOST_LAYERS:
        raise WeightsError(f"no VGG16: it has {len(elements):,} layers")
    before = {}
    for element in elements.values():
        steps, tensor = links.back(graph, element.node)
        source = graph.producer(tensor)
        if source is not None and source in elements:
            start = elements[source]
            before[element.node] = start, links.follow(graph, start, steps)
    return Layers(elements, before)


def convolutions(graph: Graph, layers: Layers) -> Row:
    """The thirteen of VGG16, in their order.

    Raises:
        WeightsError: there are none, or several rows of them.
    """
    rows = [layers.row(element) for element in layers.elements.values()]
    whole = [row for row in rows if len(row) == _COUNT and not _unlike(graph, layers, row)]
    found: dict[tuple[str, ...], Row] = {}
    for row in whole:
        found.setdefault(tuple(element.node.inputs[1] for element in row), row)
    if not found:
        raise WeightsError(f"no VGG16: {_explained(graph, layers, rows)}")
    best = max(_likeness(graph, row) for row in found.values())
    likeliest = [row for row in found.values() if _likeness(graph, row) == best]
    if len(likeliest) > 1:
        names = " and ".join(_name(row[-1]) for row in likeliest[:4])
        raise WeightsError(f"it holds several networks, with the last convolutions {names}")
    return likeliest[0]


def complete(layer: Layer, link: Link) -> Layer:
    """A layer with what the link behind it adds to it."""
    return replace(layer, bias=layer.bias or link.bias, affine=link.affine)


def _is_first(element: Element) -> bool:
    return element.layer.extent == (3, 3) and element.layer.inputs == 3


def _unlike(graph: Graph, layers: Layers, row: Row) -> str:
    """The first thing in which thirteen layers differ from VGG16; nothing where they do not."""
    if not _is_first(row[0]):
        return f"conv1_1 has shape {vgg16.text(row[0].layer.shape)}, expected [3,3,3,64]"
    steps, _ = links.back(graph, row[0].node)
    padding = links.follow(graph, row[0], steps[-1:]).pads
    ends = [*layers.links(row), links.behind(graph, row[-1])]
    for number, (element, link) in enumerate(zip(row, ends, strict=True), start=1):
        name = vgg16.CONVOLUTIONS[number - 1]
        if text := _unlike_convolution(element, padding):
            return f"{name} {text}"
        if text := _unlike_link(number, link, element.axes):
            return f"{name} {text}"
        padding = link.pads
    try:
        structure.check({name: e.layer for name, e in zip(vgg16.CONVOLUTIONS, row, strict=True)})
    except WeightsError as error:
        return str(error).removeprefix("no VGG16: ")
    return ""


def _unlike_convolution(element: Element, padding: Sequence[int]) -> str:
    if element.layer.extent != (3, 3):
        return f"has shape {vgg16.text(element.layer.shape)}, expected a 3x3 kernel"
    told = element.node.attributes
    for attribute, expected in (("strides", (1, 1)), ("dilations", (1, 1)), ("group", 1)):
        if told[attribute] != expected:
            return f"has {attribute} {told[attribute]}, expected {expected}"
    pads = (1, 1, 1, 1) if told["pads"] == SAME else told["pads"]
    total = tuple(map(sum, zip(pads, padding, strict=False)))
    return "" if total == (1, 1, 1, 1) else f"has padding {total}, expected (1, 1, 1, 1)"


def _unlike_link(number: int, link: Link, axes: str) -> str:
    last = number == _COUNT
    if link.unlike and not (last and link.relu):
        return f"{link.unlike}, expected Relu" if not link.relu else link.unlike
    if not link.relu and (not last or link.pools):
        return "is followed by no Relu"
    if last:
        return ""
    if link.averaged:
        return "is followed by an average over all positions"
    if link.pools != (number in _POOLED):
        return f"is followed by {link.pools} 2x2 max pools, expected {int(number in _POOLED)}"
    return "" if link.axes == axes else f"has its axes turned to {link.axes} behind it"


def _likeness(graph: Graph, row: Row) -> tuple[bool, ...]:
    """What tells conv5_3 from a head that is a 3x3 convolution too."""
    widths = {element.layer.outputs for element in row[-3:]}
    ahead = {node.op for node in graph.consumers(row[-1].node)}
    return len(widths) == 1, links.behind(graph, row[-1]).relu, bool(ahead)


def _explained(graph: Graph, layers: Layers, rows: list[Row]) -> str:
    count = sum(element.layer.extent == (3, 3) for element in layers.elements.values())
    alike = [_square(row) for row in rows]
    longest = max(alike, key=len, default=())
    if len(longest) < _COUNT or len(longest) in vgg16.RELATIVES:
        return structure.explain(count, len(longest))
    return _unlike(graph, layers, longest[:_COUNT])


def _square(row: Row) -> Row:
    """A row up to its last 3x3 convolution."""
    last = max((at for at, e in enumerate(row) if e.layer.extent == (3, 3)), default=-1)
    return row[: last + 1]


def _name(element: Element) -> str:
    return repr(element.layer.path[0][:80])
