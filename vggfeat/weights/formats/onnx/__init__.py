"""ONNX models, of any exporter: the graph is walked, so that names do not matter.

Field numbers are those of onnx.proto3 (github.com/onnx/onnx/blob/main/onnx/onnx.proto3), what the
operations mean those of its Operators.md. Kernels are `[out,in,h,w]`, tensors N,C,H,W. The Model
zoo's vgg16 comes from Gluon; torchvision's models are exported with the names of their state
dict; tf2onnx keeps TensorFlow's names and puts a Transpose at both ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vggfeat.errors import WeightsError
from vggfeat.weights.formats import graphs
from vggfeat.weights.formats.containers.sniff import outer_fields
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.graphs.graph import MOST_NODES, Graph
from vggfeat.weights.formats.onnx.ops import nodes
from vggfeat.weights.formats.onnx.tensors import DTYPES, Tensors
from vggfeat.weights.layers import Network
from vggfeat.weights.tensors import Tensor, map_file

NAME = "ONNX model"
FILES = "`.onnx`, with or without `.onnx.data` beside it"
ABOUT = "the Model zoo's, PyTorch's and tf2onnx' exports; found by its graph, whatever its names"

_IR_VERSION, _GRAPH = 1, 7
_NODE, _INITIALIZER, _INPUT = 1, 5, 11
_NEWEST_IR = 1 << 10  # far beyond

# Wire types of ModelProto's fields: what has one of them otherwise is another message.
_KINDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2}
_FIRST_IN_GRAPH = {number << 3 | 2 for number in (1, 2, 5, 10, 11, 12, 13, 14, 15)}

_QUANTISED = "it is quantised: its numbers were rounded to 8 bits, give the float model"
_BLOCKED = (
    "ONNX Runtime has optimised it for one kind of processor (NCHWc) and laid its kernels out "
    "anew: give the model that it was made from"
)
_HINTS = {
    **dict.fromkeys(
        ("DequantizeLinear", "QLinearConv", "ConvInteger", "DynamicQuantizeLinear"), _QUANTISED
    ),
    "com.microsoft.nchwc.Conv": _BLOCKED,
    "If": "what is below its If is not looked at",
}


def recognise(path: Path) -> bool:
    version = graph = False
    for field in outer_fields(path):
        if _KINDS.get(field.number, field.kind) != field.kind:
            return False
        if field.number == _IR_VERSION:
            version = len(field.head) == 1 or int.from_bytes(field.head, "little") < _NEWEST_IR
        if field.number == _GRAPH:
            graph = bool(field.head) and field.head[0] in _FIRST_IN_GRAPH
    return version and graph


def find(path: Path) -> Network:
    """The VGG16 of a model. Raises WeightsError."""
    graph = Message(map_file(path)).message(_GRAPH)
    if len(graph.parts[_NODE]) > MOST_NODES or len(graph.parts[_INITIALIZER]) > MOST_NODES:
        raise WeightsError("a graph of too many operations is no VGG16's")
    tensors = Tensors(path.parent)
    constants = dict(_initialisers(graph, tensors))
    made, more = nodes(graph.parts[_NODE], tensors)
    return graphs.network(Graph(made, constants | more, dict(_types(graph))), NAME, _HINTS)


def _initialisers(graph: Message, tensors: Tensors) -> Iterator[tuple[str, Tensor]]:
    for part in graph.parts[_INITIALIZER]:
        name, tensor = tensors.named(Message(part, graph))
        if tensor is not None:
            yield name, tensor


def _types(graph: Message) -> Iterator[tuple[str, str]]:
    """The types of the graph's inputs: ValueInfoProto.type.tensor_type.elem_type."""
    for value in graph.messages(_INPUT):
        number = value.message(2).message(1).number(1)
        if number in DTYPES:
            yield value.text(1), DTYPES[number].name
