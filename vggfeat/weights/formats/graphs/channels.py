"""What an operation does to each channel on its own: y = factor * x + offset."""

from __future__ import annotations

import numpy as np

from vggfeat.weights.formats.graphs.graph import Graph, Node
from vggfeat.weights.layers import Affine, Float64, batch_norm
from vggfeat.weights.tensors import Tensor, size

# The order of a tensor's axes is written as in "NHWC"; "NC" is that of a dense layer's output,
# and "_" an axis of one that is none of these.
CHANNEL = "C"

BY_CHANNEL = frozenset({"Add", "Sub", "Mul", "Div", "Neg", "BiasAdd", "BatchNormalization"})


def affine(graph: Graph, node: Node, axes: str, channels: int) -> Affine | None:
    """Factor and offset by channel; None where the operation is none of BY_CHANNEL's kind.

    Args:
        axes: the order of the axes of what it is applied to.
        channels: how many there are.
    """
    zeros, ones = np.zeros(channels), np.ones(channels)
    if node.op == "Neg":
        return -ones, zeros
    if node.op == "BatchNormalization":
        return _normalisation(graph, node, channels)
    if len(node.inputs) != 2:
        return None
    behind = graph.data(node) == node.inputs[0]  # whether the constant is the second operand
    constant = graph.constant(node.inputs[1 if behind else 0])
    axes = CHANNEL if node.op == "BiasAdd" else axes
    value = None if constant is None else by_channel(constant, axes, channels)
    if value is None or (node.op == "Div" and not behind):
        return None
    with np.errstate(all="ignore"):  # what is no number is refused with the kernel it goes into
        made: dict[str, Affine] = {
            "Sub": (ones, -value) if behind else (-ones, value),
            "Mul": (value, zeros),
            "Div": (1 / value, zeros),
        }
    return made.get(node.op, (ones, value))


def by_channel(constant: Tensor, axes: str, channels: int) -> Float64 | None:
    """The numbers of a constant that has one for all, or one for each channel."""
    if not fits(constant, axes, channels):
        return None
    return np.broadcast_to(constant.read().astype(np.float64).reshape(-1), (channels,))


def fits(constant: Tensor, axes: str, channels: int) -> bool:
    """Whether it has one number, or one for each channel, when it meets axes in this order."""
    if not (constant.is_float or constant.dtype.kind in "iu") or len(constant.shape) > len(axes):
        return False
    sides = dict(zip(reversed(axes), reversed(constant.shape), strict=False))
    count = size(constant.shape)
    return count in (1, channels) and sides.get(CHANNEL, 1) == count


def _normalisation(graph: Graph, node: Node, channels: int) -> Affine | None:
    if len(node.inputs) != 5:
        return None
    values = []
    for name in node.inputs[1:]:
        constant = graph.constant(name)
        value = None if constant is None else by_channel(constant, "C", channels)
        if value is None:
            return None
        values.append(value)
    gamma, beta, mean, variance = values
    return batch_norm(gamma, beta, mean, variance, node.attributes["epsilon"])
