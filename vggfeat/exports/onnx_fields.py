"""The messages of an ONNX file (onnx/onnx.proto), as fields of those around them."""

from __future__ import annotations

from importlib.metadata import version
from typing import TypeAlias

from vggfeat.exports import protobuf
from vggfeat.exports.channels_first import Turned
from vggfeat.vgg16 import Shape

FLOAT, UINT8 = 1, 2  # TensorProto.DataType

_IR_VERSION = 8
_OPSET = 13
_INT, _INTS = 2, 7  # AttributeProto.AttributeType
_INPUT, _OUTPUT = 11, 12  # fields of GraphProto

Attributes: TypeAlias = "dict[str, int | list[int]]"


def model(metadata: dict[str, str]) -> bytes:
    """ModelProto but for its graph."""
    said = b"".join(
        protobuf.part(14, protobuf.text(1, name) + protobuf.text(2, value))
        for name, value in metadata.items()
    )
    return (
        protobuf.number(1, _IR_VERSION)
        + protobuf.text(2, "vggfeat")
        + protobuf.text(3, version("vggfeat"))
        + protobuf.part(8, protobuf.number(2, _OPSET))
        + said
    )


def graph_head(length: int) -> bytes:
    """What stands before a GraphProto of a length, in the model."""
    return protobuf.head(7, length)


def graph_name(name: str) -> bytes:
    return protobuf.text(2, name)


def node(kind: str, inputs: list[str], output: str, attributes: Attributes) -> bytes:
    """NodeProto, as a field of the graph. It is named as its output."""
    fields = b"".join(protobuf.text(1, name) for name in inputs)
    fields += protobuf.text(2, output) + protobuf.text(3, output) + protobuf.text(4, kind)
    for name, value in attributes.items():
        attribute = protobuf.text(1, name)
        if isinstance(value, int):
            attribute += protobuf.number(3, value) + protobuf.number(20, _INT)
        else:
            attribute += b"".join(protobuf.number(8, v) for v in value) + protobuf.number(20, _INTS)
        fields += protobuf.part(5, attribute)
    return protobuf.part(1, fields)


def initializer_head(tensor: Turned) -> bytes:
    """TensorProto, as a field of the graph, up to where its numbers begin."""
    head = b"".join(protobuf.number(1, side) for side in tensor.shape)
    head += protobuf.number(2, FLOAT) + protobuf.text(8, tensor.name)
    head += protobuf.head(9, tensor.nbytes)
    return protobuf.head(5, len(head) + tensor.nbytes) + head


def given(name: str, shape: Shape) -> bytes:
    """The ValueInfoProto of an input of bytes."""
    return _port(_INPUT, name, UINT8, shape)


def output(name: str, shape: Shape) -> bytes:
    """The ValueInfoProto of an output of floats."""
    return _port(_OUTPUT, name, FLOAT, shape)


def _port(field: int, name: str, kind: int, shape: Shape) -> bytes:
    """ValueInfoProto with a free first axis."""
    sides = protobuf.part(1, protobuf.text(2, "n"))
    sides += b"".join(protobuf.part(1, protobuf.number(1, side)) for side in shape)
    tensor = protobuf.number(1, kind) + protobuf.part(2, sides)
    return protobuf.part(field, protobuf.text(1, name) + protobuf.part(2, protobuf.part(1, tensor)))
