"""A Caffe model's layers as it lists them, of any kind, in the new and the old form.

Field numbers are those of LayerParameter, V1LayerParameter, ConvolutionParameter and
PoolingParameter in src/caffe/proto/caffe.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.tensors import Tensor, size

LEARNING = ("Convolution", "InnerProduct")

# What a layer says of its window, by the names of its fields: `{"kernel": (3, 3), ...}`.
Window = Mapping[str, tuple[int | str, ...]]

_FLOAT, _DOUBLE = np.dtype("<f4"), np.dtype("<f8")
_OLD_KINDS = {
    1: "Accuracy", 2: "BNLL", 3: "Concat", 4: "Convolution", 5: "Data", 6: "Dropout", 8: "Flatten",
    9: "HDF5Data", 12: "ImageData", 14: "InnerProduct", 15: "LRN", 17: "Pooling", 18: "ReLU",
    19: "Sigmoid", 20: "Softmax", 21: "SoftmaxWithLoss", 22: "Split", 23: "TanH", 24: "WindowData",
    25: "Eltwise", 26: "Power", 29: "MemoryData", 31: "Threshold", 32: "DummyData", 33: "Slice",
    34: "MVN", 35: "AbsVal", 36: "Silence", 38: "Exp", 39: "Deconvolution",
}  # fmt: skip

# Of a side: the field for both directions, those for height and width, and what it is unsaid.
_Sides = Mapping[str, tuple[tuple[int, int, int], int]]
_CONVOLUTION: _Sides = {
    "kernel": ((4, 11, 12), 0),
    "pad": ((3, 9, 10), 0),
    "stride": ((6, 13, 14), 1),
    "dilation": ((18, 0, 0), 1),
}
_POOLING: _Sides = {
    "kernel": ((2, 5, 6), 0),
    "pad": ((4, 9, 10), 0),
    "stride": ((3, 7, 8), 1),
}
_GROUP, _METHOD, _GLOBAL = 5, 1, 12
_METHODS = ("MAX", "AVE", "STOCHASTIC")


@dataclass(frozen=True, eq=False)
class Step:
    """A layer of any kind.

    Attributes:
        kind: as LayerParameter names it.
        bottoms: the blobs it takes.
        tops: the blobs it gives.
        transposed: of an InnerProduct, that its kernel is `[in,out]`.
        epsilon: of a BatchNorm.
        window: of a Convolution or Pooling; empty where the file does not say it.
        slope: of a ReLU, below zero.
    """

    name: str
    kind: str
    bottoms: Sequence[str]
    tops: Sequence[str]
    blobs: Sequence[Tensor]
    transposed: bool = False
    epsilon: float = 1e-5
    window: Window = field(default_factory=dict)
    slope: float = 0.0


class _Numbers(NamedTuple):
    """The numbers of the fields that both forms have."""

    name: int
    bottoms: int
    tops: int
    blobs: int
    convolution: int
    pooling: int
    relu: int


_NEW = _Numbers(1, 3, 4, 7, convolution=106, pooling=121, relu=123)
_OLD = _Numbers(4, 2, 3, 6, convolution=10, pooling=19, relu=30)


def new_step(message: Message) -> Step:
    """A LayerParameter."""
    return replace(
        _step(message, message.text(2), _NEW),
        transposed=bool(message.message(117).number(6)),
        epsilon=_float(message.message(139), 3, 1e-5),
    )


def old_step(message: Message) -> Step:
    """A V1LayerParameter."""
    if message.parts.get(1):
        raise WeightsError(
            "a Caffe model in the form of 2013 (V0): write it anew with Caffe's "
            "upgrade_net_proto_binary"
        )
    number = message.number(5)
    return _step(message, _OLD_KINDS.get(number, str(number)), _OLD)


def _step(message: Message, kind: str, numbers: _Numbers) -> Step:
    return Step(
        message.text(numbers.name),
        kind,
        message.texts(numbers.bottoms),
        message.texts(numbers.tops),
        [_blob(blob) for blob in message.messages(numbers.blobs)],
        window=_window(kind, message, convolution=numbers.convolution, pooling=numbers.pooling),
        slope=_float(message.message(numbers.relu), 1, 0.0),
    )


def _blob(message: Message) -> Tensor:
    """A BlobProto. Raises WeightsError: its numbers are not as many as its shape says."""
    if 7 in message.parts:
        shape: Shape = tuple(message.message(7).integers(1))
    else:
        shape = tuple(message.number(field) for field in (1, 2, 3, 4))
    numbers = message.packed(5, _FLOAT)
    if not len(numbers):
        numbers = message.packed(8, _DOUBLE)
    if size(shape) != len(numbers):
        raise WeightsError(
            f"damaged: a blob of {len(numbers):,} numbers, where its shape has {size(shape):,}"
        )
    return Tensor(shape, numbers.dtype, lambda: numbers.reshape(shape))


def _float(parameter: Message, number: int, default: float) -> float:
    values = parameter.packed(number, _FLOAT)
    return float(values[-1]) if len(values) else default


def _window(kind: str, message: Message, *, convolution: int, pooling: int) -> Window:
    readers: dict[str, tuple[int, Callable[[Message], Window]]] = {
        "Convolution": (convolution, _of_convolution),
        "Pooling": (pooling, _of_pooling),
    }
    number, read = readers.get(kind, (0, None))
    return read(message.message(number)) if read else {}


def _of_convolution(told: Message) -> Window:
    found = _sides(told, _CONVOLUTION)
    return {**found, "group": (told.number(_GROUP, 1),)} if found else {}


def _of_pooling(told: Message) -> Window:
    if told.number(_GLOBAL):
        return {"global_pooling": ("true",)}
    found = _sides(told, _POOLING)
    method = told.number(_METHOD)
    name = _METHODS[method] if method < len(_METHODS) else str(method)
    return {"method": (name,), **found} if found or method else {}


def _sides(told: Message, sides: _Sides) -> dict[str, tuple[int | str, ...]]:
    """All sides; nothing where no kernel is given, without which Caffe makes no such layer."""
    found: dict[str, tuple[int | str, ...]] = {}
    for name, (fields, default) in sides.items():
        both, *single = (told.integers(number) for number in fields)
        values = both or [part[-1] if part else default for part in single]
        if not (both or any(single)) and name == "kernel":
            return {}
        found[name] = (values[0], values[0]) if len(values) == 1 else tuple(values)
    return found
