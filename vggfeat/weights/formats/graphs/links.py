"""From one layer of a graph to the next: which steps lie between, and whether VGG16 takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vggfeat.vgg16 import Shape
from vggfeat.weights.formats.graphs.axes import DENSE_AXES, averaged, padding, reordered
from vggfeat.weights.formats.graphs.channels import BY_CHANNEL, affine, fits
from vggfeat.weights.formats.graphs.graph import SAME, Graph, Node
from vggfeat.weights.layers import Affine, Layer, then
from vggfeat.weights.tensors import Tensor, size

_MOST_STEPS = 64  # between two layers
_MOST_AHEAD = 256  # nodes looked at behind a layer

_NOTHING = frozenset({"Identity", "Cast"})
_BEFORE_RELU = BY_CHANNEL | _NOTHING | {"Transpose", "Squeeze", "Reshape", "Flatten", "MaxPool"}


@dataclass(frozen=True, eq=False)
class Element:
    """A convolution or matrix product with a constant kernel.

    Attributes:
        layer: without what is behind the operation itself.
        axes: the order of the axes of what it takes and gives.
    """

    node: Node
    layer: Layer
    axes: str


@dataclass(frozen=True)
class Link:
    """What becomes of a layer's output before the next layer takes it.

    Attributes:
        axes: the order of its axes at the end.
        bias: added to it first.
        affine: what else is done by channel.
        relu: whether there is one.
        pools: how many 2x2 max pools there are.
        pads: rows and columns of zeros: top, left, bottom, right.
        averaged: whether all positions become one.
        flatten: `hwc` or `chw`, the order in which positions and channels became one axis.
        unlike: what VGG16 does not do, to follow the layer's name.
    """

    axes: str
    bias: Tensor | None = None
    affine: Affine | None = None
    relu: bool = False
    pools: int = 0
    pads: tuple[int, ...] = (0, 0, 0, 0)
    averaged: bool = False
    flatten: str = ""
    unlike: str = ""


def element(graph: Graph, node: Node) -> Element | None:
    """A node as a layer; None where it is none, or its kernel is not known."""
    if node.op not in ("Conv", "MatMul") or len(node.inputs) < 2 or not node.outputs:
        return None
    kernel = graph.constant(node.inputs[1])
    dense = node.op == "MatMul"
    if kernel is None or len(kernel.shape) != (2 if dense else 4):
        return None
    axes = ("oi" if node.attributes["transposed"] else "io") if dense else node.attributes["axes"]
    layer = Layer((node.name or node.outputs[0],), kernel, axes)
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = graph.constant(node.inputs[2])
        flat = None if bias is None else _as_bias(bias, DENSE_AXES, layer.outputs)
        if flat is None:
            return None
        layer = replace(layer, bias=flat)
    return Element(node, layer, DENSE_AXES if dense else node.attributes["layout"])


def back(graph: Graph, node: Node) -> tuple[list[Node], str]:
    """The steps before a layer, and the tensor that they begin with, of a layer or of another."""
    steps: list[Node] = []
    tensor = node.inputs[0]
    while len(steps) < _MOST_STEPS:
        step = graph.producer(tensor)
        if step is None or step.op in ("Conv", "MatMul"):
            break
        data = graph.data(step)
        if data is None:
            break
        steps.append(step)
        tensor = data
    return steps[::-1], tensor


def behind(graph: Graph, start: Element) -> Link:
    """What a layer's output goes through up to its ReLU, by whichever branch leads to one."""
    queue: deque[tuple[Node, tuple[Node, ...]]] = deque([(start.node, ())])
    longest: tuple[Node, ...] = ()
    others: list[str] = []
    seen = 0
    while queue and seen < _MOST_AHEAD:
        node, steps = queue.popleft()
        for step in graph.consumers(node):
            seen += 1
            if step.op == "Relu":
                return follow(graph, start, (*steps, step))
            if step.op in _BEFORE_RELU and graph.data(step) in node.outputs:
                queue.append((step, (*steps, step)))
                longest = max(longest, (*steps, step), key=len)
            else:
                others.append(step.op)
    link = follow(graph, start, longest)
    return replace(link, unlike=link.unlike or _followed_by(others[0])) if others else link


def follow(graph: Graph, start: Element, steps: Sequence[Node]) -> Link:
    """Go through the steps behind a layer, in their order."""
    link = Link(start.axes)
    for step in steps:
        link = _step(graph, start.layer, link, step)
        if link.unlike:
            break
    return link


def _step(graph: Graph, layer: Layer, link: Link, step: Node) -> Link:
    nothing = step.op in _NOTHING or is_pool(step, "AveragePool", (1, 1))
    if nothing or graph.is_dropout(step):
        return link
    if step.op in BY_CHANNEL:
        return _by_channel(graph, layer, link, step)
    if step.op == "Relu":
        return replace(link, relu=True)
    if is_pool(step, "MaxPool", (2, 2)):
        return replace(link, pools=link.pools + 1)
    if found := _of_axes(graph, layer, link, step):
        return found
    window = step.attributes.get("window")
    over = f" over {window} with strides {step.attributes['strides']}" if window else ""
    return replace(link, unlike=_followed_by(step.op + over))


def _of_axes(graph: Graph, layer: Layer, link: Link, step: Node) -> Link | None:
    if step.op == "Pad":
        added = padding(graph, step, link.axes)
        pads = tuple(map(sum, zip(link.pads, added or (), strict=False)))
        return replace(link, pads=pads) if added else None
    if step.op == "GlobalAverage":
        axes = averaged(graph, step, link.axes)
        return replace(link, axes=axes, averaged=True) if axes else None
    order = reordered(graph, step, link.axes, layer.outputs)
    return order and replace(link, axes=order[0], flatten=order[1] or link.flatten)


def _followed_by(operation: str) -> str:
    return f"is followed by {operation}"


def _by_channel(graph: Graph, layer: Layer, link: Link, step: Node) -> Link:
    if link.relu or link.pools or any(link.pads):
        return replace(link, unlike=f"has {step.op} behind its ReLU or pool")
    if step.op in ("Add", "BiasAdd") and not (layer.bias or link.bias or link.affine):
        constants = [graph.constant(name) for name in step.inputs]
        axes = link.axes if step.op == "Add" else "C"
        for constant in constants:
            bias = None if constant is None else _as_bias(constant, axes, layer.outputs)
            if bias is not None:
                return replace(link, bias=bias)
    found = affine(graph, step, link.axes, layer.outputs)
    if found is None:
        return replace(link, unlike=f"{_followed_by(step.op)} that is not the same everywhere")
    return replace(link, affine=then(link.affine, found))


def _as_bias(constant: Tensor, axes: str, channels: int) -> Tensor | None:
    """A constant with one number for each channel, as `[channels]`; it is not read."""
    if not fits(constant, axes, channels) or size(constant.shape) != channels:
        return None
    return replace(constant, shape=(channels,), read=lambda: constant.read().reshape(-1))


def is_pool(step: Node, op: str, window: Shape) -> bool:
    """Over even sides padding as SAME adds none to 2x2 windows."""
    told = step.attributes
    return (
        step.op == op
        and (told["window"], told["strides"], told["dilations"]) == (window, window, (1, 1))
        and told["pads"] in (SAME, (0, 0, 0, 0))
    )
