"""The attributes of TensorFlow's nodes, read by name.

Field numbers are those of AttrValue in tensorflow/core/framework/attr_value.proto.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.graphs.graph import SAME

LIST, STRING, INT, FLOAT, BOOL, TYPE, TENSOR = 1, 2, 3, 4, 5, 6, 8

Told = dict[str, Message]


def listed_of(told: Told, key: str) -> Message:
    return told[key].message(LIST) if key in told else Message(np.empty(0, np.uint8))


def integers_of(told: Told, key: str) -> tuple[int, ...]:
    return tuple(listed_of(told, key).integers(INT))


def integer_of(told: Told, key: str, default: int) -> int:
    found = told[key].integers(INT) if key in told else []
    return found[-1] if found else default


def text_of(told: Told, key: str, default: str) -> str:
    return told[key].text(STRING) if key in told else default


def flag_of(told: Told, key: str) -> bool:
    return bool(told[key].number(BOOL)) if key in told else False


def float_of(told: Told, key: str, default: float) -> float:
    if key not in told:
        return default
    found = told[key].packed(FLOAT, np.dtype("<f4"))
    return float(found[-1]) if len(found) else default


def window_of(told: Told, layout: str, key: str) -> tuple[int, ...]:
    """Of a list with a number for each axis, those of H and W."""
    found = integers_of(told, key) or (1, 1, 1, 1)
    if len(found) != 4:
        return found
    return found[layout.index("H")], found[layout.index("W")]


def pads_of(told: Told, layout: str) -> Any:
    padding = text_of(told, "padding", "VALID")
    if padding != "EXPLICIT":
        return SAME if padding == "SAME" else (0, 0, 0, 0)
    found = integers_of(told, "explicit_paddings")
    h, w = 2 * layout.index("H"), 2 * layout.index("W")
    return (found[h], found[w], found[h + 1], found[w + 1]) if len(found) == 8 else ()
