"""The preprocessing inside a graph: what it makes of each channel of the graph's input.

The steps before conv1_1 are followed back to the input. Each channel that conv1_1 takes is one
channel of the input, times a factor, plus an offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vggfeat.weights.formats.graphs.channels import BY_CHANNEL, CHANNEL, affine
from vggfeat.weights.formats.graphs.graph import Graph, Node
from vggfeat.weights.formats.graphs.slices import sliced

_MOST_NODES = 512  # counted each time that one is come by
_DEEPEST = 64
_NOTHING = frozenset({"Identity", "Cast", "Resize"})
_DECODERS = frozenset({"DecodeJpeg", "DecodePng", "DecodeImage", "DecodeBmp"})


@dataclass(frozen=True)
class Channel:
    """factor * input[source] + offset."""

    source: int
    factor: float = 1.0
    offset: float = 0.0


Channels = Sequence[Channel]


@dataclass(frozen=True)
class Pixels:
    """What conv1_1 takes of the graph's input.

    Attributes:
        channels: three, in conv1_1's order.
        source: the name of the input.
        type: numpy's name of its type, empty where it is not known.
        decoded: whether the graph itself decodes images, which gives RGB.
    """

    channels: Channels
    source: str
    type: str
    decoded: bool


class NotUnderstoodError(Exception):
    """A step that is none of a preprocessing by channel."""


def pixels(graph: Graph, conv1_1: Node) -> Pixels:
    """Follow the steps before conv1_1. Raises NotUnderstoodError."""
    reader = _Reader(graph)
    tensor = conv1_1.inputs[0]
    pad = graph.producer(tensor)
    if pad is not None and pad.op == "Pad" and pad.inputs:  # a part of the convolution
        tensor = pad.inputs[0]
    found = reader.channels(tensor, conv1_1.attributes["layout"], 0)
    if len(found) != 3 or len(reader.sources) != 1:
        raise NotUnderstoodError
    ((source, decoded),) = reader.sources.items()
    kind = "uint8" if decoded else graph.types.get(source, "")
    return Pixels(found, source, kind, decoded)


class _Reader:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sources: dict[str, bool] = {}
        self._left = _MOST_NODES

    def channels(self, tensor: str, axes: str, depth: int) -> Channels:
        """The channels of a tensor whose axes have this order; one where it has no such axis."""
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise NotUnderstoodError
        node = self.graph.producer(tensor)
        if node is None or node.op in _DECODERS:
            if CHANNEL not in axes or self.graph.constant(tensor) is not None:
                raise NotUnderstoodError
            self.sources[tensor] = node is not None
            return [Channel(source) for source in range(3)]
        if node.op in ("Concat", "Pack"):
            return self._joined(node, axes, depth)
        if node.op in ("Split", "Unpack"):
            return self._parted(node, tensor, axes, depth)
        data = self.graph.data(node)
        if data is None:
            raise NotUnderstoodError
        if node.op in ("Gather", "Slice", "Reverse"):
            before, pick = sliced(self.graph, node, axes) or (None, [])
            if before is None:
                raise NotUnderstoodError
            found = self.channels(data, before, depth + 1)
            return found if pick is None else _picked(found, pick)
        found = self.channels(data, self._before(node, axes), depth + 1)
        return self._changed(node, axes, found) if node.op in BY_CHANNEL else found

    def _changed(self, node: Node, axes: str, channels: Channels) -> Channels:
        change = affine(self.graph, node, axes, len(channels))
        if change is None:
            raise NotUnderstoodError
        return [
            Channel(channel.source, channel.factor * float(f), channel.offset * float(f) + float(o))
            for channel, f, o in zip(channels, *change, strict=True)
        ]

    def _before(self, node: Node, axes: str) -> str:
        """The order of the axes of what a node takes, if this is that of what it gives."""
        told = {key: self.graph.integers(node, key) for key in ("perm", "axes", "shape")}
        perm, gone, shape = told["perm"], told["axes"], told["shape"]
        rank = len(axes)
        if node.op in _NOTHING or node.op in BY_CHANNEL:
            return axes
        if node.op == "Transpose" and perm and sorted(perm) == list(range(rank)):
            return "".join(axes[perm.index(axis)] for axis in range(rank))
        if node.op == "Unsqueeze" and gone:
            new = {axis % rank for axis in gone}
            return "".join(axis for at, axis in enumerate(axes) if at not in new)
        if node.op == "Squeeze" and gone:
            for axis in sorted(axis % (rank + len(gone)) for axis in gone):
                axes = f"{axes[:axis]}_{axes[axis:]}"
            return axes
        # A flat or a fixed shape is made one of images.
        if node.op == "Reshape" and dict(zip(axes, shape or (), strict=False)).get(CHANNEL) == 3:
            return axes
        raise NotUnderstoodError

    def _joined(self, node: Node, axes: str, depth: int) -> Channels:
        at = self._channel_axis(node, axes)
        if node.op == "Pack":
            axes = axes[:at] + axes[at + 1 :]
        parts = [self.channels(name, axes, depth + 1) for name in node.inputs[:8]]
        return [channel for part in parts for channel in part]

    def _parted(self, node: Node, tensor: str, axes: str, depth: int) -> Channels:
        if node.op == "Unpack":
            axis = self.graph.integer(node, "axis")
            if axis is None or CHANNEL in axes:
                raise NotUnderstoodError
            axis %= len(axes) + 1
            axes = axes[:axis] + CHANNEL + axes[axis:]
        self._channel_axis(node, axes)
        whole = self.channels(node.inputs[0], axes, depth + 1)
        parts, rest = divmod(len(whole), len(node.outputs))
        sizes = set(self.graph.integers(node, "sizes") or ())
        if rest or parts == 0 or len(sizes) > 1:
            raise NotUnderstoodError
        begin = node.outputs.index(tensor) * parts
        return whole[begin : begin + parts]

    def _channel_axis(self, node: Node, axes: str) -> int:
        axis = self.graph.integer(node, "axis")
        if axis is None or CHANNEL not in axes or axis % len(axes) != axes.index(CHANNEL):
            raise NotUnderstoodError
        return axis % len(axes)


def _picked(channels: Channels, pick: Sequence[int] | slice) -> Channels:
    if isinstance(pick, slice):
        return channels[pick]
    if any(not -len(channels) <= at < len(channels) for at in pick):
        raise NotUnderstoodError
    return [channels[at] for at in pick]
