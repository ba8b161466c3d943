"""An ONNX model: `images` uint8 `[n,224,224,3]` RGB in, `fc6`, `fc7` and `logits` out.

The mean is subtracted inside. `fc6` and `fc7` are float32 `[n,4096]` after their ReLU, `logits`
`[n,classes]` before the softmax; a network without fully connected layers gives `pool5`
`[n,7,7,512]`. Fields and operators are those of onnx/onnx.proto and opset 13.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.exports import protobuf
from vggfeat.exports.channels_first import Turned, in_memory, turned
from vggfeat.weights.canonical import Weights
from vggfeat.whole import whole

INPUT = "images"

_IR_VERSION = 8
_OPSET = 13
_FLOAT, _UINT8 = 1, 2  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType
_MOST_BYTES = (1 << 31) - 1  # that protobuf takes for one message

_OUTPUTS = {"fc6": "fc6", "fc7": "fc7", "fc8": "logits"}

Attributes = dict[str, int | list[int]]


def write(weights: Weights, path: Path) -> str:
    """Write the file.

    Raises:
        WeightsError: more numbers than such a file can hold.
        OSError: it cannot be written.
    """
    tensors = [in_memory("mean", weights.tensors["mean"]), *turned(weights)]
    outputs = _outputs(weights)
    heads = [_initializer(tensor) for tensor in tensors]
    nodes = b"".join(_nodes(weights)) + protobuf.text(2, "vgg16")
    ports = _port(11, INPUT, _UINT8, (vgg16.SIZE, vgg16.SIZE, 3)) + b"".join(
        _port(12, name, _FLOAT, shape) for name, shape in outputs.items()
    )
    length = len(nodes) + len(ports) + sum(map(len, heads)) + sum(t.nbytes for t in tensors)
    start = _model() + protobuf.head(7, length) + nodes + ports
    if len(start) + length > _MOST_BYTES:
        raise WeightsError("an ONNX file holds 2 GB at the most, and these weights are larger")
    with whole(path) as file:
        file.write(start)
        for head, tensor in zip(heads, tensors, strict=True):
            file.write(head)
            for block in tensor.blocks():
                file.write(block)
    return f"input {INPUT} uint8 [n,224,224,3] RGB, outputs {', '.join(outputs)}"


def _outputs(weights: Weights) -> dict[str, vgg16.Shape]:
    """Name and shape, but for the first axis."""
    widths = weights.width_of
    outputs: dict[str, vgg16.Shape] = {
        name: (widths[layer],) for layer, name in _OUTPUTS.items() if layer in widths
    }
    side = vgg16.POOLED_SIZE
    return outputs or {"pool5": (side, side, widths[vgg16.CONVOLUTIONS[-1]])}


def _model() -> bytes:
    """ModelProto but for its graph."""
    return (
        protobuf.number(1, _IR_VERSION)
        + protobuf.text(2, "vggfeat")
        + protobuf.text(3, version("vggfeat"))
        + protobuf.part(8, protobuf.number(2, _OPSET))
    )


def _nodes(weights: Weights) -> Iterator[bytes]:
    yield _node("Cast", [INPUT], "pixels", {"to": _FLOAT})
    yield _node("Sub", ["pixels", "mean"], "centered")
    yield _node("Transpose", ["centered"], "centered_nchw", {"perm": [0, 3, 1, 2]})
    last = "centered_nchw"
    for number, block in enumerate(vgg16.BLOCKS, start=1):
        for layer in block:
            same: Attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
            yield _node("Conv", [last, f"{layer}.weight", f"{layer}.bias"], f"{layer}.sum", same)
            yield _node("Relu", [f"{layer}.sum"], layer)
            last = layer
        pooled = f"pool{number}_nchw"
        yield _node("MaxPool", [last], pooled, {"kernel_shape": [2, 2], "strides": [2, 2]})
        last = pooled
    connected = [layer for layer in _OUTPUTS if layer in weights.layers]
    if not connected:
        yield _node("Transpose", [last], "pool5", {"perm": [0, 2, 3, 1]})
        return
    yield _node("Flatten", [last], "flat", {"axis": 1})
    last = "flat"
    for layer in connected:
        given = [last, f"{layer}.weight", f"{layer}.bias"]
        last = _OUTPUTS[layer]
        total = last if layer == "fc8" else f"{layer}.sum"
        yield _node("Gemm", given, total, {"transB": 1})
        if layer != "fc8":
            yield _node("Relu", [total], last)


def _node(kind: str, inputs: list[str], output: str, attributes: Attributes | None = None) -> bytes:
    """NodeProto, as a field of the graph. It is named as its output."""
    node = b"".join(protobuf.text(1, name) for name in inputs)
    node += protobuf.text(2, output) + protobuf.text(3, output) + protobuf.text(4, kind)
    for name, value in (attributes or {}).items():
        attribute = protobuf.text(1, name)
        if isinstance(value, int):
            attribute += protobuf.number(3, value) + protobuf.number(20, _INT)
        else:
            attribute += b"".join(protobuf.number(8, v) for v in value) + protobuf.number(20, _INTS)
        node += protobuf.part(5, attribute)
    return protobuf.part(1, node)


def _initializer(tensor: Turned) -> bytes:
    """TensorProto, as a field of the graph, up to where its numbers begin."""
    head = b"".join(protobuf.number(1, side) for side in tensor.shape)
    head += protobuf.number(2, _FLOAT) + protobuf.text(8, tensor.name)
    head += protobuf.head(9, tensor.nbytes)
    return protobuf.head(5, len(head) + tensor.nbytes) + head


def _port(field: int, name: str, kind: int, shape: vgg16.Shape) -> bytes:
    """ValueInfoProto of an input or output with a free first axis, as a field of the graph."""
    sides = protobuf.part(1, protobuf.text(2, "n"))
    sides += b"".join(protobuf.part(1, protobuf.number(1, side)) for side in shape)
    tensor = protobuf.number(1, kind) + protobuf.part(2, sides)
    return protobuf.part(field, protobuf.text(1, name) + protobuf.part(2, protobuf.part(1, tensor)))
