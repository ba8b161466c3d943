"""Constants of a graph, seen through the operations that only change their form.

Nothing is read here: an operation on a constant gives another tensor that is read when it is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.tensors import Tensor, size

if TYPE_CHECKING:
    from vggfeat.weights.formats.graphs.graph import Node

PASSING = frozenset({"Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze"})

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Neg": np.negative,
    "Sqrt": np.sqrt, "Reciprocal": np.reciprocal, "Rsqrt": lambda x: 1 / np.sqrt(x),
}  # fmt: skip
_MOST_FOLDED = 1 << 14  # numbers by channel are folded, kernels are not
_MOST_REPEATED = 1 << 16

Integers = Callable[["Node", str], "tuple[int, ...] | None"]


@dataclass(frozen=True)
class Ref:
    """Stands for the numbers that a tensor holds."""

    name: str


def reshaped(tensor: Tensor, node: Node, integers: Integers) -> Tensor | None:
    """What Cast, Reshape, Transpose, Squeeze or Unsqueeze make of a constant; None if unknown."""
    if node.op == "Identity":
        return tensor
    if node.op == "Cast":
        return _cast(tensor, node.attributes.get("to"))
    if node.op == "Transpose":
        return _transposed(tensor, integers(node, "perm"))
    shape: tuple[int, ...] | None
    if node.op == "Reshape":
        shape = _filled_in(tensor, integers(node, "shape"))
    elif node.op == "Squeeze":
        shape = _squeezed(tensor.shape, integers(node, "axes"))
    else:
        shape = _unsqueezed(tensor.shape, integers(node, "axes"))
    if shape is None or size(shape) != size(tensor.shape):
        return None
    return replace(tensor, shape=shape, read=lambda: tensor.read().reshape(shape))


def folded(op: str, inputs: Iterable[Tensor | None]) -> Tensor | None:
    """The result of arithmetic on small constants, in float64; None where it is another matter."""
    known: list[Tensor] = []
    for tensor in inputs:
        if tensor is None or not tensor.is_float or size(tensor.shape) > _MOST_FOLDED:
            return None
        known.append(tensor)
    try:
        shape = np.broadcast_shapes(*(tensor.shape for tensor in known))
    except ValueError:
        return None
    if not known or size(shape) > _MOST_FOLDED:
        return None

    def compute() -> NDArray[Any]:
        with np.errstate(all="ignore"):
            result = ARITHMETIC[op](*(tensor.read().astype(np.float64) for tensor in known))
        return np.asarray(result, np.float64)

    return Tensor(shape, np.dtype(np.float64), compute)


def repeated(value: NDArray[Any], shape: tuple[int, ...]) -> Tensor:
    """A constant of which the file gives the first numbers; the last one fills the rest."""
    count = size(shape)

    def fill() -> NDArray[Any]:
        if count > _MOST_REPEATED:
            raise WeightsError("damaged: a kernel that is one number, repeated")
        filled = np.full(count, value[-1] if len(value) else 0, value.dtype)
        filled[: len(value)] = value[:count]
        return filled.reshape(shape)

    return Tensor(shape, value.dtype, fill)


def _cast(tensor: Tensor, to: np.dtype[Any] | None) -> Tensor | None:
    if to is None or not tensor.is_float:
        return None
    if to.itemsize >= tensor.dtype.itemsize:
        return tensor
    return replace(tensor, dtype=to, read=lambda: tensor.read().astype(to))


def _transposed(tensor: Tensor, perm: tuple[int, ...] | None) -> Tensor | None:
    rank = len(tensor.shape)
    order = tuple(reversed(range(rank))) if perm is None else perm
    if sorted(order) != list(range(rank)):
        return None
    shape = tuple(tensor.shape[axis] for axis in order)
    return replace(tensor, shape=shape, read=lambda: tensor.read().transpose(order))


def _filled_in(tensor: Tensor, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """A shape with its -1 and (ONNX) its zeros replaced."""
    if shape is None or len(shape) > 8:
        return None
    sides = [
        tensor.shape[at] if side == 0 and at < len(tensor.shape) else side
        for at, side in enumerate(shape)
    ]
    if sides.count(-1) == 1:
        others = int(np.prod([side for side in sides if side != -1], dtype=object))
        if others <= 0:
            return None
        sides[sides.index(-1)] = size(tensor.shape) // others
    return None if min(sides, default=0) < 0 else tuple(sides)


def _squeezed(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    gone = {axis % len(shape) for axis in axes} if axes and shape else None
    return tuple(
        side for at, side in enumerate(shape) if (side != 1 if gone is None else at not in gone)
    )


def _unsqueezed(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if axes is None or len(axes) + len(shape) > 8:
        return None
    sides = list(shape)
    rank = len(shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        sides.insert(axis, 1)
    return tuple(sides)
