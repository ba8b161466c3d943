"""ONNX's nodes as those of `graphs.graph`, over all versions of its operations.

Newer versions turned attributes into inputs: axes of Squeeze and Unsqueeze, pads of Pad, the
shape of Reshape, starts and ends of Slice. Both are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from vggfeat.weights.formats.containers.wire import Bytes, Message
from vggfeat.weights.formats.graphs.constants import Ref
from vggfeat.weights.formats.graphs.graph import Node
from vggfeat.weights.formats.onnx.attributes import (
    A_FLOATS,
    A_NAME,
    A_TENSOR,
    Told,
    float_of,
    integer_of,
    integers_of,
    or_input,
    pads_of,
    text_of,
)
from vggfeat.weights.formats.onnx.tensors import DTYPES, Tensors
from vggfeat.weights.tensors import Tensor, of_array

_INPUT, _OUTPUT, _NAME, _OP, _ATTRIBUTE, _DOMAIN = 1, 2, 3, 4, 5, 7

_DOMAINS = ("", "ai.onnx", "com.microsoft")
_FUSED = {"FusedConv": "Conv", "FusedGemm": "Gemm"}  # what ONNX Runtime's optimiser adds

Attributes = dict[str, Any]
Names = tuple[str, ...]


def nodes(parts: Iterable[Bytes], tensors: Tensors) -> tuple[list[Node], dict[str, Tensor]]:
    """All nodes, and the tensors of those that are constants."""
    made: list[Node] = []
    constants: dict[str, Tensor] = {}
    for message in map(Message, parts):
        op = message.text(_OP)
        inputs, outputs = tuple(message.texts(_INPUT)), tuple(message.texts(_OUTPUT))
        told = {part.text(A_NAME): part for part in message.messages(_ATTRIBUTE)}
        name = message.text(_NAME)
        if op == "Constant" and outputs:
            value = _constant(told, tensors)
            if value is not None:
                constants[outputs[0]] = value
        elif message.text(_DOMAIN) not in _DOMAINS:
            made.append(Node(f"{message.text(_DOMAIN)}.{op}", inputs, outputs, name=name))
        elif op in _FUSED and text_of(told, "activation", "") == "Relu" and outputs:
            between = f"{outputs[0]} before its Relu"
            made.append(_node(_FUSED[op], inputs, (between,), told, name))
            made.append(Node("Relu", (between,), outputs))
        else:
            made.append(_node(op, inputs, outputs, told, name))
    return made, constants


def _node(op: str, inputs: Names, outputs: Names, told: Told, name: str) -> Node:
    if op not in _READ:
        return Node(op, inputs, outputs, name=name)
    common, data, read = _READ[op]
    attributes = read(told, inputs)
    known = common if attributes is not None else f"{op} of another kind"
    return Node(known, inputs[:data], outputs, attributes or {}, name)


def _constant(told: Told, tensors: Tensors) -> Tensor | None:
    if "value" in told:
        return tensors.tensor(told["value"].message(A_TENSOR))
    for key, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if key in told:
            number = float_of(told, key, 0) if dtype is np.float32 else integer_of(told, key, 0)
            return of_array(np.array(number, dtype))
    if "value_floats" in told:
        return of_array(told["value_floats"].packed(A_FLOATS, np.dtype("<f4")))
    if "value_ints" in told:
        return of_array(np.array(integers_of(told, "value_ints"), np.int64))
    return None


def _convolution(told: Told, _: Sequence[str]) -> Attributes:
    return {
        "layout": "NCHW",
        "axes": "oihw",
        "strides": integers_of(told, "strides") or (1, 1),
        "dilations": integers_of(told, "dilations") or (1, 1),
        "pads": pads_of(told),
        "group": integer_of(told, "group", 1),
    }


def _pool(told: Told, _: Sequence[str]) -> Attributes:
    return {
        "layout": "NCHW",
        "window": integers_of(told, "kernel_shape") or (),
        "strides": integers_of(told, "strides") or (1, 1),
        "dilations": integers_of(told, "dilations") or (1, 1),
        "pads": pads_of(told),
    }


def _gemm(told: Told, _: Sequence[str]) -> Attributes | None:
    plain = all(float_of(told, key, 1) == 1 for key in ("alpha", "beta"))
    if not plain or integer_of(told, "transA", 0):
        return None
    return {"transposed": bool(integer_of(told, "transB", 0))}


def _cast(told: Told, _: Sequence[str]) -> Attributes:
    to = DTYPES.get(integer_of(told, "to", 0))
    return {"to": to if to is not None and to.kind in "fV" else None}


def _pad(told: Told, inputs: Sequence[str]) -> Attributes | None:
    if len(inputs) > 3:  # with a list of axes
        return None
    plain = text_of(told, "mode", "constant") == "constant" and float_of(told, "value", 0) == 0
    value = Ref(inputs[2]) if len(inputs) == 3 and inputs[2] else None
    pads = or_input(told, ("pads", "paddings"), inputs, 1)
    return {"pads": pads, "constant": plain, "value": value}


def _gather(told: Told, inputs: Sequence[str]) -> Attributes | None:
    if len(inputs) < 2:
        return None
    return {"axis": integer_of(told, "axis", 0), "indices": Ref(inputs[1])}


def _split(told: Told, inputs: Sequence[str]) -> Attributes:
    return {"axis": integer_of(told, "axis", 0), "sizes": or_input(told, ("split",), inputs, 1)}


def _mean(told: Told, inputs: Sequence[str]) -> Attributes:
    return {"axes": or_input(told, ("axes",), inputs, 1), "keep": integer_of(told, "keepdims", 1)}


def _slice(told: Told, inputs: Sequence[str]) -> Attributes:
    names = (("begin", "starts"), ("end", "ends"), ("axes", "axes"), ("steps", "steps"))
    return {
        key: or_input(told, (name,), inputs, at) for at, (key, name) in enumerate(names, start=1)
    }


def _nothing(_: Told, __: Sequence[str]) -> Attributes:
    return {}


def _listed(key: str) -> Callable[[Told, Sequence[str]], Attributes]:
    return lambda told, inputs: {key: or_input(told, (key,), inputs, 1)}


def _numbered(key: str, default: int) -> Callable[[Told, Sequence[str]], Attributes]:
    return lambda told, _: {key: integer_of(told, key, default)}


# What each is here, how many of its inputs are data, and what is read of the others.
_READ: dict[str, tuple[str, int, Callable[[Told, Sequence[str]], Attributes | None]]] = {
    "Conv": ("Conv", 3, _convolution),
    "MaxPool": ("MaxPool", 1, _pool),
    "AveragePool": ("AveragePool", 1, _pool),
    "Gemm": ("MatMul", 3, _gemm),
    "MatMul": ("MatMul", 2, lambda _, __: {"transposed": False}),
    "GlobalAveragePool": ("GlobalAverage", 1, lambda _, __: {"keep": True}),
    "ReduceMean": ("GlobalAverage", 1, _mean),
    "BatchNormalization": (
        "BatchNormalization",
        5,
        lambda told, _: {"epsilon": float_of(told, "epsilon", 1e-5)},
    ),
    **{op: (op, 2, _nothing) for op in ("Add", "Sub", "Mul", "Div")},
    **{op: (op, 1, _nothing) for op in ("Relu", "Neg", "Sqrt", "Reciprocal", "Floor", "Identity")},
    "Dropout": ("Identity", 1, _nothing),
    "Resize": ("Resize", 1, _nothing),
    "Upsample": ("Resize", 1, _nothing),
    "Cast": ("Cast", 1, _cast),
    "Pad": ("Pad", 1, _pad),
    "Reshape": ("Reshape", 1, _listed("shape")),
    "Flatten": ("Flatten", 1, _numbered("axis", 1)),
    "Transpose": ("Transpose", 1, lambda told, _: {"perm": integers_of(told, "perm")}),
    "Squeeze": ("Squeeze", 1, _listed("axes")),
    "Unsqueeze": ("Unsqueeze", 1, _listed("axes")),
    "Split": ("Split", 1, _split),
    "Concat": ("Concat", 64, _numbered("axis", 0)),
    "Gather": ("Gather", 1, _gather),
    "Slice": ("Slice", 1, _slice),
}
