"""Which channels Gather, Reverse and Slice take."""

from __future__ import annotations

from collections.abc import Sequence

from vggfeat.weights.formats.graphs.channels import CHANNEL
from vggfeat.weights.formats.graphs.graph import Graph, Node

# Channels by their numbers, or a slice of them; None stands for all as they are.
Pick = Sequence[int] | slice | None

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")

# ONNX ends a backward slice at the smallest integer there is, or some number as small.
_FARTHEST = 1 << 16


def sliced(graph: Graph, node: Node, axes: str) -> tuple[str, Pick] | None:
    """The order of the axes before, and the channels taken; None where that is unknown.

    Args:
        axes: the order of the axes of what the node gives.
    """
    if node.op == "Gather":
        return _gathered(graph, node, axes)
    if node.op == "Reverse":
        turned = graph.integers(node, "axes")
        if turned is None or CHANNEL not in axes:
            return None
        backwards = axes.index(CHANNEL) in {axis % len(axes) for axis in turned}
        return axes, slice(None, None, -1) if backwards else None
    parts = _slices(graph, node, len(axes))
    return None if parts is None else _of_slices(parts, axes)


def _gathered(graph: Graph, node: Node, axes: str) -> tuple[str, Pick] | None:
    axis, indices = graph.integer(node, "axis"), graph.integers(node, "indices")
    if axis is None or not indices:
        return None
    held = graph.constant(node.attributes["indices"].name)
    if held is not None and held.shape == ():
        axis %= len(axes) + 1
        missing = "N" if CHANNEL in axes else CHANNEL
        axes = axes[:axis] + missing + axes[axis:]
    at_channel = axes[axis % len(axes)] == CHANNEL
    return axes, indices if at_channel else None


def _slices(graph: Graph, node: Node, rank: int) -> dict[int, slice | int] | None:
    """What is taken of each axis of the input; of the others, all."""
    begin, end = graph.integers(node, "begin"), graph.integers(node, "end")
    if not begin or not end or len(begin) != len(end) or len(begin) > 8:
        return None
    steps = graph.integers(node, "steps") or (1,) * len(begin)
    if len(steps) != len(begin) or 0 in steps:
        return None
    if "begin_mask" in node.attributes:
        return _strided(node, rank, begin, end, steps)
    named = graph.integers(node, "axes") or tuple(range(len(begin)))
    if len(named) != len(begin):
        return None
    return {
        axis % rank: slice(first, None if step < 0 and last < -_FARTHEST else last, step)
        for axis, first, last, step in zip(named, begin, end, steps, strict=True)
    }


def _strided(
    node: Node, rank: int, begin: Sequence[int], end: Sequence[int], steps: Sequence[int]
) -> dict[int, slice | int] | None:
    """TensorFlow's StridedSlice, whose masks have a bit for each axis that is listed."""
    begins, ends, ellipsis, new, shrunk = (int(node.attributes[mask]) for mask in MASKS)
    if new:
        return None
    rank += bin(shrunk).count("1")
    taken: dict[int, slice | int] = {}
    axis = 0
    for at, (first, last, step) in enumerate(zip(begin, end, steps, strict=True)):
        bit = 1 << at
        if ellipsis & bit:
            axis = rank - (len(begin) - at - 1)
            continue
        if shrunk & bit:
            taken[axis] = first
        else:
            taken[axis] = slice(None if begins & bit else first, None if ends & bit else last, step)
        axis += 1
    return taken


def _of_slices(parts: dict[int, slice | int], axes: str) -> tuple[str, Pick] | None:
    for axis in sorted(axis for axis, part in parts.items() if isinstance(part, int)):
        missing = CHANNEL if CHANNEL not in axes else "_"
        axes = axes[:axis] + missing + axes[axis:]
    if CHANNEL not in axes:
        return None
    pick = parts.get(axes.index(CHANNEL))
    return axes, [pick] if isinstance(pick, int) else pick
