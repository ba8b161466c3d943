"""What each of TensorFlow's operations is among those of `graphs.graph`.

What ONNX has as attributes, axes, shapes and pads, are inputs here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vggfeat.weights.formats.frozen.attributes import (
    TYPE,
    Told,
    flag_of,
    float_of,
    integer_of,
    integers_of,
    pads_of,
    text_of,
    window_of,
)
from vggfeat.weights.formats.frozen.tensors import DTYPES
from vggfeat.weights.formats.graphs.constants import Ref
from vggfeat.weights.formats.graphs.slices import MASKS

Attributes = dict[str, Any]


def _spatial(told: Told, _: Sequence[str]) -> Attributes | None:
    layout = text_of(told, "data_format", "NHWC")
    if layout not in ("NHWC", "NCHW"):
        return None
    return {
        "layout": layout,
        "strides": window_of(told, layout, "strides"),
        "dilations": window_of(told, layout, "dilations"),
        "pads": pads_of(told, layout),
        "window": window_of(told, layout, "ksize"),
    }


def _convolution(told: Told, inputs: Sequence[str]) -> Attributes | None:
    common = _spatial(told, inputs)
    return None if common is None else {**common, "axes": "hwio", "group": 1}


def _product(told: Told, _: Sequence[str]) -> Attributes | None:
    return None if flag_of(told, "transpose_a") else {"transposed": flag_of(told, "transpose_b")}


def _batch_product(told: Told, _: Sequence[str]) -> Attributes | None:
    return None if flag_of(told, "adj_x") else {"transposed": flag_of(told, "adj_y")}


def _normalisation(told: Told, _: Sequence[str]) -> Attributes:
    return {"epsilon": float_of(told, "epsilon", 1e-4)}


def _mean(told: Told, inputs: Sequence[str]) -> Attributes | None:
    if len(inputs) != 2:
        return None
    return {"axes": Ref(inputs[1]), "keep": flag_of(told, "keep_dims")}


def _cast(told: Told, _: Sequence[str]) -> Attributes:
    to = DTYPES.get(told["DstT"].number(TYPE)) if "DstT" in told else None
    return {"to": to if to is not None and to.kind in "fV" else None}


def _strided(told: Told, inputs: Sequence[str]) -> Attributes | None:
    if len(inputs) != 4:
        return None
    masks = {mask: integer_of(told, mask, 0) for mask in MASKS}
    begin, end, steps = map(Ref, inputs[1:])
    return {"begin": begin, "end": end, "steps": steps, **masks}


def _at(key: str, position: int) -> Callable[[Told, Sequence[str]], Attributes | None]:
    """An attribute that is an input."""

    def read(_: Told, inputs: Sequence[str]) -> Attributes | None:
        return {key: Ref(inputs[position])} if -len(inputs) <= position < len(inputs) else None

    return read


def _padding(constant: bool) -> Callable[[Told, Sequence[str]], Attributes | None]:
    def read(_: Told, inputs: Sequence[str]) -> Attributes | None:
        if len(inputs) < 2:
            return None
        value = Ref(inputs[2]) if len(inputs) > 2 else None
        return {"pads": Ref(inputs[1]), "by_axis": True, "constant": constant, "value": value}

    return read


def _gather(told: Told, inputs: Sequence[str]) -> Attributes | None:
    if len(inputs) < 2:
        return None
    return {"indices": Ref(inputs[1]), "axis": Ref(inputs[2]) if len(inputs) > 2 else 0}


def _split(told: Told, inputs: Sequence[str]) -> Attributes | None:
    if len(inputs) == 2:
        return {"axis": Ref(inputs[0])}
    return {"sizes": Ref(inputs[1]), "axis": Ref(inputs[2])} if len(inputs) == 3 else None


def _nothing(_: Told, __: Sequence[str]) -> Attributes:
    return {}


_FIRST, _TWO, _ALL = slice(1), slice(2), slice(None)

_SAME_NUMBERS = ("Identity", "StopGradient", "CheckNumerics", "Snapshot", "PreventGradient")
_NORMALISATIONS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_RESIZES = ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea")

# What each is here, which of its inputs are data, and what is read of the others.
READ: dict[str, tuple[str, slice, Callable[[Told, Sequence[str]], Attributes | None]]] = {
    "Conv2D": ("Conv", _TWO, _convolution),
    "MaxPool": ("MaxPool", _FIRST, _spatial),
    "AvgPool": ("AveragePool", _FIRST, _spatial),
    "Mean": ("GlobalAverage", _FIRST, _mean),
    "MatMul": ("MatMul", _TWO, _product),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2"), ("MatMul", _TWO, _batch_product)),
    **dict.fromkeys(_NORMALISATIONS, ("BatchNormalization", _ALL, _normalisation)),
    **{
        op: (common, _TWO, _nothing)
        for op, common in {
            "BiasAdd": "BiasAdd",
            "BiasAddV1": "BiasAdd",
            "Add": "Add",
            "AddV2": "Add",
            "Sub": "Sub",
            "Mul": "Mul",
            "RealDiv": "Div",
            "Div": "Div",
        }.items()
    },
    **{
        op: (op, _FIRST, _nothing) for op in ("Relu", "Neg", "Sqrt", "Rsqrt", "Reciprocal", "Floor")
    },
    **dict.fromkeys(_SAME_NUMBERS, ("Identity", _FIRST, _nothing)),
    **dict.fromkeys(_RESIZES, ("Resize", _FIRST, _nothing)),
    "Cast": ("Cast", _FIRST, _cast),
    "Pad": ("Pad", _FIRST, _padding(True)),
    "PadV2": ("Pad", _FIRST, _padding(True)),
    "MirrorPad": ("Pad", _FIRST, _padding(False)),
    "Reshape": ("Reshape", _FIRST, _at("shape", 1)),
    "Transpose": ("Transpose", _FIRST, _at("perm", 1)),
    "Squeeze": (
        "Squeeze",
        _FIRST,
        lambda told, _: {"axes": integers_of(told, "squeeze_dims") or None},
    ),
    "ExpandDims": ("Unsqueeze", _FIRST, _at("axes", 1)),
    "Split": ("Split", slice(1, 2), _split),
    "SplitV": ("Split", _FIRST, _split),
    "Unpack": ("Unpack", _FIRST, lambda told, _: {"axis": integer_of(told, "axis", 0)}),
    "Concat": ("Concat", slice(1, None), _at("axis", 0)),
    "ConcatV2": ("Concat", slice(-1), _at("axis", -1)),
    "Pack": ("Pack", _ALL, lambda told, _: {"axis": integer_of(told, "axis", 0)}),
    "Gather": ("Gather", _FIRST, _gather),
    "GatherV2": ("Gather", _FIRST, _gather),
    "ReverseV2": ("Reverse", _FIRST, _at("axes", 1)),
    "StridedSlice": ("Slice", _FIRST, _strided),
}
