"""Frozen TensorFlow graphs (`.pb`): the graph is walked, so that names do not matter.

Field numbers are those of graph.proto, node_def.proto and attr_value.proto below
tensorflow/core/framework. Kernels are H,W,in,out, tensors mostly N,H,W,C. Such files come from
TensorFlow 1 (convert_variables_to_constants of Slim's or a hand-written network), from Keras
(convert_variables_to_constants_v2) and from `vggfeat freeze`.
"""

from __future__ import annotations

import re
from pathlib import Path

from vggfeat.errors import WeightsError
from vggfeat.weights.formats import containers, graphs
from vggfeat.weights.formats.containers.sniff import outer_fields
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.frozen.nodes import nodes
from vggfeat.weights.formats.graphs.graph import MOST_NODES, Graph
from vggfeat.weights.layers import Network
from vggfeat.weights.tensors import map_file

NAME = "frozen TensorFlow graph"
FILES = "`.pb`"
ABOUT = "frozen from Slim, Keras or by hand, with or without preprocessing; found by its graph"

_NODE = 1
_KINDS = {1: 2, 2: 2, 3: 0, 4: 2, 5: 2}  # GraphDef's fields and their wire types
_AS_TEXT = re.compile(rb"\s*(#[^\n]*\s*)*node\s*:?\s*\{")
# A NodeDef begins with its name and its operation.
_NODE_BEGINS = re.compile(
    rb"\x0a([\x01-\x7f]|[\x80-\xff][\x01-\x07])[\w.>/\\-]+\x12[\x01-\x7f][A-Za-z_][A-Za-z0-9_>]*",
    re.ASCII,
)

_VARIABLES = (
    "it holds the graph alone, its numbers are in a checkpoint: give that, or freeze the graph"
)
_FUNCTIONS = (
    "it calls functions: freeze it with convert_variables_to_constants_v2, which inlines them"
)
_QUANTISED = "it is quantised: its numbers were rounded to 8 bits, give the float graph"
_HINTS = {
    **dict.fromkeys(("Variable", "VariableV2", "VarHandleOp"), _VARIABLES),
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), _FUNCTIONS),
    **dict.fromkeys(("Dequantize", "QuantizedConv2D", "QuantizeV2"), _QUANTISED),
    "FakeQuantWithMinMaxVars": "its numbers are rounded by FakeQuant operations",
}


def recognise(path: Path) -> bool:
    if _is_text(path):
        return True
    found = False
    for field in outer_fields(path):
        if _KINDS.get(field.number) != field.kind:
            return False
        if field.number == _NODE and not found:
            found = _NODE_BEGINS.match(field.head) is not None
            if not found:
                return False
    return found


def find(path: Path) -> Network:
    """The VGG16 of a graph. Raises WeightsError."""
    if _is_text(path):
        raise WeightsError("a TensorFlow graph as text: write it as a binary one (as_text=False)")
    graph = Message(map_file(path))
    if len(graph.parts[_NODE]) > MOST_NODES:
        raise WeightsError("a graph of too many operations is no VGG16's")
    made, constants, types = nodes(graph.parts[_NODE])
    return graphs.network(Graph(made, constants, types), NAME, _HINTS)


def _is_text(path: Path) -> bool:
    return _AS_TEXT.match(containers.head(path, 1 << 10)) is not None
