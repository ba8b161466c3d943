"""Operations that turn, fold or pad axes, and what becomes of the order of these."""

from __future__ import annotations

from vggfeat.weights.formats.graphs.channels import CHANNEL
from vggfeat.weights.formats.graphs.graph import Graph, Node
from vggfeat.weights.tensors import size

DENSE_AXES = "NC"

# The order of axes behind a step, and where positions and channels became one axis, their order.
Order = tuple[str, str]


def reordered(graph: Graph, step: Node, axes: str, channels: int) -> Order | None:
    """What Transpose, Squeeze, Unsqueeze, Reshape or Flatten makes of an order of axes.

    Args:
        channels: how many there are.

    Returns:
        the new order and `hwc`, `chw` or nothing; None where that is unknown.
    """
    if step.op == "Transpose":
        perm = graph.integers(step, "perm")
        turns = perm is not None and sorted(perm) == list(range(len(axes)))
        return ("".join(axes[axis] for axis in perm or ()), "") if turns else None
    if step.op == "Squeeze":
        return _squeezed(axes, graph.integers(step, "axes"))
    if step.op == "Unsqueeze":
        return _unsqueezed(axes, graph.integers(step, "axes"))
    if step.op == "Flatten":
        return _flattened(axes) if graph.integer(step, "axis") == 1 else None
    if step.op == "Reshape":
        return _reshaped(axes, graph.integers(step, "shape"), channels)
    return None


def padding(graph: Graph, step: Node, axes: str) -> tuple[int, ...] | None:
    """Rows and columns of zeros that Pad adds: top, left, bottom, right; None if it is another."""
    pads = graph.integers(step, "pads")
    rank = len(axes)
    if not _with_zeros(graph, step) or not pads or len(pads) != 2 * rank or "H" not in axes:
        return None
    by_axis = step.attributes.get("by_axis", False)
    parts = (pads[::2], pads[1::2]) if by_axis else (pads[:rank], pads[rank:])
    begin, end = (dict(zip(axes, part, strict=True)) for part in parts)
    if any(part[axis] for part in (begin, end) for axis in axes if axis not in "HW"):
        return None
    return begin["H"], begin["W"], end["H"], end["W"]


def _with_zeros(graph: Graph, step: Node) -> bool:
    if not step.attributes["constant"]:
        return False
    value = step.attributes["value"]
    if value is None:
        return True
    constant = graph.constant(value.name)
    return constant is not None and size(constant.shape) == 1 and not constant.read().any()


def _squeezed(axes: str, named: tuple[int, ...] | None) -> Order | None:
    gone = set("HW_") if named is None else {axes[axis % len(axes)] for axis in named}
    if gone & {"N", CHANNEL}:
        return None
    return "".join(axis for axis in axes if axis not in gone), ""


def _unsqueezed(axes: str, named: tuple[int, ...] | None) -> Order | None:
    new = [axis for axis in "HW_" if axis not in axes]
    if not named or len(named) > len(new):
        return None
    rank = len(axes) + len(named)
    for axis in sorted(axis % rank for axis in named):
        axes = f"{axes[:axis]}{new.pop(0)}{axes[axis:]}"
    return axes, ""


def _reshaped(axes: str, shape: tuple[int, ...] | None, channels: int) -> Order | None:
    """A shape that is computed is taken for the usual one: the batch, and all the rest."""
    if shape is None or len(shape) == 2:
        return _flattened(axes)
    if sorted(axes) in (sorted(DENSE_AXES), sorted("NCHW")):  # of one position, in any order
        for order, ones in (("NHWC", (1, 1, channels)), ("NCHW", (channels, 1, 1))):
            if shape[1:] == ones:
                return order, ""
    return None


def averaged(graph: Graph, step: Node, axes: str) -> str | None:
    """The order of axes behind an average over all positions; None if it is over others."""
    over = graph.integers(step, "axes")
    gone = set("HW") if over is None else {axes[axis % len(axes)] for axis in over}
    if gone != set("HW") & set(axes) or not gone:
        return None
    return axes if step.attributes["keep"] else "".join(axis for axis in axes if axis not in gone)


def _flattened(axes: str) -> Order | None:
    if axes in ("NHWC", "NCHW"):
        return DENSE_AXES, axes[1:].lower()
    return (axes, "") if axes == DENSE_AXES else None
