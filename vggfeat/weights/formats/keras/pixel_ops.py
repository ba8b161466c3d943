"""Layers that do arithmetic to pixels: what each does by channel, or to the order of channels.

Keras 3 writes an operation as a layer of its name: `TrueDivide` called on a tensor and a number.
Keras 2 of TensorFlow writes `TFOpLambda` with the function's name, and `SlicingOpLambda`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.weights.formats.keras.config import Node
from vggfeat.weights.formats.keras.layers import Part

Array = NDArray[np.float64]
Affine = tuple[Array, Array]

RESCALING, NORMALIZATION = "Rescaling", "Normalization"

_ADDED = ("Add", "math.add", "__operators__.add", "nn.bias_add")
_SUBTRACTED = ("Subtract", "math.subtract")
_MULTIPLIED = ("Multiply", "math.multiply")
_DIVIDED = ("TrueDivide", "Divide", "math.truediv", "math.divide")
_DEEPEST = 16
_TURNED = [2, 1, 0]
_LEAST_DEVIATION = 1e-7  # Keras' epsilon


def affine(step: Node, part: Part | None) -> Affine | None:
    """Factor and offset by channel, in the order that it takes; None if it is not understood.

    Args:
        part: its weights, if it has any.
    """
    try:
        if step.kind == RESCALING:
            return _three(step.config["scale"]), _three(step.config.get("offset", 0))
        if step.kind == NORMALIZATION:
            return _normalization(step, part)
        return _operation(_function(step), _three(_constant(step)))
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def turns(step: Node) -> bool:
    """Whether it turns RGB to BGR: a stack of three slices, or a slice with a step of -1."""
    if step.kind == "Stack":
        whole = {source.sources for source in step.sources}
        channels = [_channel(source) for source in step.sources]
        axis = step.config.get("axis")
        return channels == _TURNED and len(whole) == 1 and axis in (-1, 3)
    return _function(step) == "__operators__.getitem" and list(_numbers(step.call)) == [-1]


def _function(step: Node) -> str:
    return str(step.config.get("function") or step.kind)


def _operation(function: str, number: Array) -> Affine | None:
    if function in _ADDED:
        return np.ones(3), number
    if function in _SUBTRACTED:
        return np.ones(3), -number
    if function in _MULTIPLIED:
        return number, np.zeros(3)
    return (1 / number, np.zeros(3)) if function in _DIVIDED and number.all() else None


def _normalization(step: Node, part: Part | None) -> Affine | None:
    """Its mean and variance are settings, or weights that it adapted to images."""
    mean, variance = step.config.get("mean"), step.config.get("variance")
    if mean is None and part is not None:
        weights = part.weights
        keys = ("mean", "variance") if "mean" in weights else ("0", "1")
        mean, variance = (weights[key].read() for key in keys)
    if step.config.get("invert") or mean is None or variance is None:
        return None
    factor = 1 / np.maximum(np.sqrt(_three(variance)), _LEAST_DEVIATION)
    return factor, -_three(mean) * factor


def _constant(step: Node) -> Any:
    """The number or tensor that an operation on a tensor is called with, behind the tensor."""
    call = step.call[0]
    if isinstance(call, Mapping):  # Keras 3
        value = call["args"][1]
        return value["config"]["value"] if isinstance(value, Mapping) else value
    if isinstance(call[0], list):
        call = call[0]
    named = call[3]  # Keras 2: ["name", 0, 0, {"y": 127.5}]
    return named["bias"] if "bias" in named else named["y"]


def _channel(step: Node) -> Any:
    """Which channel `images[..., i]` takes; None of another step."""
    if step.kind != "GetItem":
        return None
    try:
        return step.call[0]["args"][1][-1]
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _numbers(value: Any, depth: int = 0) -> Iterator[int]:
    """The numbers in what Keras 2 calls an operation with, but for those of the tensor."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _numbers(part, depth + 1)
    elif isinstance(value, list):
        is_tensor = len(value) >= 3 and isinstance(value[0], str)
        for part in value[3:] if is_tensor else value:
            yield from _numbers(part, depth + 1)
    elif isinstance(value, int):
        yield value


def _three(value: Any) -> Array:
    """One number or three. Raises ValueError, TypeError."""
    array = np.asarray(value, np.float64).reshape(-1)
    return np.broadcast_to(array, 3)
