"""TensorFlow's nodes as those of `graphs.graph`.

Field numbers are those of NodeDef. A tensor is called `node` or `node:1`, and an input that only
orders nodes `^node`.
"""

from __future__ import annotations

from collections.abc import Iterable

from vggfeat.weights.formats.containers.wire import Bytes, Message
from vggfeat.weights.formats.frozen.attributes import (
    STRING,
    TENSOR,
    TYPE,
    Told,
    integer_of,
    listed_of,
)
from vggfeat.weights.formats.frozen.ops import READ
from vggfeat.weights.formats.frozen.tensors import DTYPES, tensor
from vggfeat.weights.formats.graphs.graph import Node
from vggfeat.weights.tensors import Tensor

_NAME, _OP, _INPUT, _ATTRIBUTE = 1, 2, 3, 5
_KEY, _VALUE = 1, 2  # of an entry of a map

_PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault", "PlaceholderV2")
_MOST_OUTPUTS = 8  # of a Split that parts channels

Made = tuple[list[Node], dict[str, Tensor], dict[str, str]]


def nodes(parts: Iterable[Bytes]) -> Made:
    """All nodes, the tensors of those that are constants, and the types of the inputs."""
    made: list[Node] = []
    constants: dict[str, Tensor] = {}
    types: dict[str, str] = {}
    for message in map(Message, parts):
        name, op = message.text(_NAME), message.text(_OP)
        told = {e.text(_KEY): e.message(_VALUE) for e in message.messages(_ATTRIBUTE)}
        inputs = tuple(
            text.removesuffix(":0") for text in message.texts(_INPUT) if not text.startswith("^")
        )
        if op == "Const":
            value = tensor(told["value"].message(TENSOR)) if "value" in told else None
            if value is not None:
                constants[name] = value
        elif op in _PLACEHOLDERS:
            kind = DTYPES.get(told["dtype"].number(TYPE)) if "dtype" in told else None
            types[name] = kind.name if kind is not None else ""
        elif op in ("_FusedConv2D", "_FusedMatMul"):
            made += _fused(name, op, inputs, told)
        else:
            made.append(_node(name, op, inputs, told))
    return made, constants, types


def _node(name: str, op: str, inputs: tuple[str, ...], told: Told) -> Node:
    outputs = (name, *(f"{name}:{number}" for number in range(1, _outputs(op, told))))
    if op not in READ:
        return Node(op, inputs, outputs, name=name)
    common, data, read = READ[op]
    attributes = read(told, inputs)
    known = common if attributes is not None else f"{op} of another kind"
    return Node(known, inputs[data], outputs, attributes or {}, name)


def _fused(name: str, op: str, inputs: tuple[str, ...], told: Told) -> list[Node]:
    """What the graph optimiser made one of: the operation, BiasAdd and an activation."""
    steps = [part.tobytes().decode("ascii", "replace")
             for part in listed_of(told, "fused_ops").parts.get(STRING, ())]  # fmt: skip
    ends = [f"{name} step {number}" for number in range(len(steps))] + [name]
    made = [_node(name, op.removeprefix("_Fused"), inputs[:2], told)]
    made[0] = Node(made[0].op, made[0].inputs, (ends[0],), made[0].attributes, name)
    for number, step in enumerate(steps[:4]):
        known = step == "BiasAdd" and len(inputs) == 3
        data = (ends[number], inputs[2]) if known else (ends[number],)
        made.append(Node(step, data, (ends[number + 1],)))
    return made


def _outputs(op: str, told: Told) -> int:
    key = {"Split": "num_split", "SplitV": "num_split", "Unpack": "num"}.get(op)
    return max(1, min(integer_of(told, key, 1), _MOST_OUTPUTS)) if key else 1
