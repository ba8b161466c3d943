"""The attributes of ONNX's nodes, read by name.

Field numbers are those of AttributeProto in onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.graphs.constants import Ref
from vggfeat.weights.formats.graphs.graph import SAME

A_NAME, A_FLOAT, A_INT, A_STRING, A_TENSOR, A_FLOATS, A_INTS = 1, 2, 3, 4, 5, 7, 8

Told = dict[str, Message]


def integers_of(told: Told, key: str) -> tuple[int, ...] | None:
    return tuple(told[key].integers(A_INTS)) if key in told else None


def integer_of(told: Told, key: str, default: int) -> int:
    found = told[key].integers(A_INT) if key in told else []
    return found[-1] if found else default


def float_of(told: Told, key: str, default: float) -> float:
    if key not in told:
        return default
    found = told[key].packed(A_FLOAT, np.dtype("<f4"))
    return float(found[-1]) if len(found) else default


def text_of(told: Told, key: str, default: str) -> str:
    return told[key].text(A_STRING) if key in told else default


def pads_of(told: Told) -> Any:
    """SAME, or rows and columns before and behind."""
    if text_of(told, "auto_pad", "NOTSET").startswith("SAME"):
        return SAME
    return integers_of(told, "pads") or (0, 0, 0, 0)


def or_input(told: Told, keys: Sequence[str], inputs: Sequence[str], at: int) -> Any:
    for key in keys:
        if key in told:
            return integers_of(told, key)
    return Ref(inputs[at]) if len(inputs) > at and inputs[at] else None
