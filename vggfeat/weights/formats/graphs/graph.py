"""A network as a graph of operations: the one form that ONNX and TensorFlow's graphs become.

Operations have ONNX's names. A node's inputs are what it computes with; what else it is told, as
an attribute in one format and as a further input in the other, is among its attributes: a number,
some numbers, or the `Ref` of a tensor that holds them.

Conv                      layout, axes, strides, dilations, pads, group; inputs x, kernel, bias
MaxPool, AveragePool      layout, window, strides, dilations, pads
GlobalAverage             axes (H and W where there are none), keep
BatchNormalization        epsilon; inputs x, gamma, beta, mean, variance
MatMul                    transposed (its kernel is `[out,in]`); inputs x, kernel, bias
BiasAdd, Add, Sub, Mul, Div, Neg, Relu, Identity, Resize
Cast                      to, a dtype, or None where it is none of floats
Reshape                   shape
Flatten                   axis
Transpose                 perm
Squeeze, Unsqueeze        axes
Pad                       pads (all that begin, then all that end; by_axis: of each axis both),
                          constant, value
Split                     axis, sizes
Unpack, Concat, Pack      axis
Gather                    axis, indices (one number that is no list: the axis vanishes)
Reverse                   axes
Slice                     begin, end, steps, axes; or TensorFlow's masks

`pads` of Conv and pools are `SAME` or (top, left, bottom, right). Whatever has another name stands
for itself: no step of VGG16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.graphs.constants import ARITHMETIC, PASSING, Ref, folded, reshaped
from vggfeat.weights.tensors import Tensor

SAME = "same"
MOST_NODES = 1 << 15  # a ResNet-152 has a thousand, a detector some thousands

_LONGEST_CHAIN = 16  # of operations on one constant
_MOST_FOLDED = 1 << 18  # operations on constants, in one graph
_DEEPEST = 6  # arithmetic on arithmetic of constants
_MOST_INTEGERS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation. Outputs that are not used may be empty names, and so may inputs."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


class Graph:
    """Nodes, found by the tensors that they make and take.

    Args:
        nodes: in any order; the order is that of the file where a choice is to be made.
        constants: tensors that are kept in the file, by name.
        types: numpy's names of the types of the graph's inputs, `uint8`, as far as known.
    """

    def __init__(
        self, nodes: Sequence[Node], constants: Mapping[str, Tensor], types: Mapping[str, str]
    ) -> None:
        if len(nodes) > MOST_NODES:
            raise WeightsError(f"a graph of {len(nodes):,} operations is no VGG16's")
        self.nodes = nodes
        self.types = types
        self._constants = constants
        self._folds_left = _MOST_FOLDED
        self._producers: dict[str, Node] = {}
        for node in nodes:
            for output in node.outputs:
                self._producers.setdefault(output, node)
        self._producers.pop("", None)

    def producer(self, tensor: str) -> Node | None:
        """The node that makes a tensor: None for inputs of the graph and constants."""
        return self._producers.get(tensor)

    def consumers(self, node: Node) -> list[Node]:
        """The nodes that take any output of a node, in the file's order."""
        return [taker for output in node.outputs for taker in self._consumers.get(output, ())]

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for tensor in dict.fromkeys(node.inputs):
                if tensor:
                    found.setdefault(tensor, []).append(node)
        return found

    def constant(self, tensor: str, deepest: int = _DEEPEST) -> Tensor | None:
        """A tensor whose numbers the file gives, whatever reshapes or casts them on the way."""
        chain: list[Node] = []
        while tensor not in self._constants:
            node = self.producer(tensor)
            if node is None or len(chain) == _LONGEST_CHAIN:
                return None
            if node.op not in PASSING:
                found = self._folded(node, deepest)
                break
            chain.append(node)
            tensor = node.inputs[0] if node.inputs else ""
        else:
            found = self._constants[tensor]
        for node in reversed(chain):
            if found is not None:
                found = reshaped(found, node, self.integers)
        return found

    def _folded(self, node: Node, deepest: int) -> Tensor | None:
        if node.op not in ARITHMETIC or deepest == 0 or self._folds_left <= 0:
            return None
        self._folds_left -= 1
        return folded(node.op, (self.constant(name, deepest - 1) for name in node.inputs))

    def integers(self, node: Node, attribute: str) -> tuple[int, ...] | None:
        """The numbers of an attribute; None where it has none, or they are not known."""
        value = node.attributes.get(attribute)
        if isinstance(value, Ref):
            held = self._constants.get(value.name) or self.constant(value.name)
            if held is None or held.dtype.kind not in "iu" or np.prod(held.shape) > _MOST_INTEGERS:
                return None
            return tuple(int(number) for number in held.read().reshape(-1))
        if isinstance(value, int):
            return (value,)
        return None if value is None else tuple(value)

    def integer(self, node: Node, attribute: str) -> int | None:
        found = self.integers(node, attribute)
        return found[0] if found and len(found) == 1 else None

    def data(self, node: Node) -> str | None:
        """The one input of a node that comes from the graph's input; None where there are more."""
        if node.op in ("Conv", "MatMul", "BatchNormalization", "BiasAdd"):
            return node.inputs[0] if node.inputs else None
        varying = [name for name in node.inputs if name and self.constant(name) is None]
        return varying[0] if len(varying) == 1 else self._past_dropout(node, varying)

    def is_dropout(self, node: Node) -> bool:
        """Whether this is a step of TensorFlow 1's dropout, which does nothing to features."""
        two = len(node.inputs) == 2 and not any(map(self.constant, node.inputs))
        return two and self._past_dropout(node, list(node.inputs)) is not None

    def _past_dropout(self, node: Node, varying: list[str]) -> str | None:
        """TensorFlow 1 writes dropout as x / keep * floor(keep + random), keep an input."""
        if len(varying) == 2:
            makers = [self.producer(name) for name in varying]
            if node.op == "Div" and makers[1] is None:
                return varying[0]
            for maker, other in zip(makers, reversed(varying), strict=True):
                if node.op == "Mul" and maker is not None and maker.op == "Floor":
                    return other
        return None
