"""What a graph says that conv1_1 takes: by the preprocessing inside it, else by its names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vggfeat.inputs import BGR, RGB, SCALES, Input, Triple, of_scale
from vggfeat.weights.formats.graphs.graph import Graph
from vggfeat.weights.formats.graphs.links import Element
from vggfeat.weights.formats.graphs.pixels import NotUnderstoodError, Pixels, pixels

INSIDE = "the preprocessing inside the graph"
NOT_UNDERSTOOD = "what the graph does to pixels before conv1_1 is not understood"

_Values = NDArray[np.float64]

_KERAS, _SLIM = "the names of keras.applications", "TF-Slim's names"
_TORCH, _ZOO = "torchvision's names", "the names of the Model zoo's file"
_NAMES: tuple[tuple[str, Input, str], ...] = (
    (r"block1_conv1(?!\d)", of_scale(BGR, "caffe"), _KERAS),
    (r"(^|/)conv1/conv1_1(/|$)", of_scale(RGB, "caffe"), _SLIM),
    (r"(^|/)vgg\d+_conv0_", of_scale(RGB, "torch"), _ZOO),
    (r"(^|[./])features[./](features\.)?0[./]", of_scale(RGB, "torch"), _TORCH),
    (r"(^|\.)classifier\.0\.weight$", of_scale(RGB, "torch"), _TORCH),
)
_NEAR = 1.5  # of 255, between one rounding of a known mean and another

# Of the graphs that vggfeat writes, frozen and ONNX, which take RGB.
_OWN_INPUT = "images", "uint8"
_OWN_KERNELS = ("conv1_1/kernel", "conv1_1.weight")


@dataclass(frozen=True)
class Declared:
    taken: Input | None
    by: str = ""
    notes: tuple[str, ...] = ()


def declared(graph: Graph, convolutions: Sequence[Element], others: Iterable[Element]) -> Declared:
    """What conv1_1 takes of pixels in 0..255, as far as the graph says it."""
    names = [name for e in (*convolutions, *others) for name in (*e.node.inputs[1:2], e.node.name)]
    named, by = _by_names(names)
    try:
        inside = pixels(graph, convolutions[0].node)
    except NotUnderstoodError:
        return Declared(None, notes=(NOT_UNDERSTOOD,))
    kernel = convolutions[0].node.inputs[1]
    own = (inside.source, inside.type) == _OWN_INPUT and kernel in _OWN_KERNELS
    # Keras' names stand for BGR, but who scales pixels instead of preparing them feeds RGB.
    known = RGB if named and named.channels == RGB else None
    changed = any((c.factor, c.offset) != (1, 0) for c in inside.channels)
    if changed or inside.type == "uint8":
        taken = _by_pixels(inside, RGB if own or inside.decoded else None, known)
        return Declared(taken, INSIDE) if taken else Declared(None)
    return Declared(named, by)


def _by_names(names: Sequence[str]) -> tuple[Input | None, str]:
    for pattern, taken, by in _NAMES:
        if any(re.search(pattern, name) for name in names):
            return taken, by
    return None, ""


def _by_pixels(inside: Pixels, given: str | None, named: str | None) -> Input | None:
    """Mean and divisor that the graph applies, if units and order of its input are plain.

    Args:
        given: the order of the graph's input, where it is known.
        named: the order that conv1_1 takes by its names, where these say it.
    """
    factors = np.array([channel.factor for channel in inside.channels])
    offsets = np.array([channel.offset for channel in inside.channels])
    sources = [channel.source for channel in inside.channels]
    if not (np.isfinite(factors) & (factors > 0) & np.isfinite(offsets)).all():
        return None
    if sources not in ([0, 1, 2], [2, 1, 0]):
        return None
    mean, divisor = -offsets / factors, 1 / factors  # in conv1_1's order, in the input's units
    unit, order = _known_mean(mean)
    if given == RGB:
        order = RGB if sources == [0, 1, 2] else BGR
    order = order or named
    if unit is None or inside.type == "uint8":
        unit = 1.0 if inside.type == "uint8" else _unit(mean, divisor)
    if unit is None or order is None:
        return None
    return Input(order, _rgb(mean * unit, order), _rgb(divisor * unit, order))


def _known_mean(mean: _Values) -> tuple[float | None, str | None]:
    """The input's units, as what gives 0..255, and conv1_1's order, if its mean is a known one."""
    for unit in (1.0, 255.0):
        for known in (SCALES["caffe"][0], SCALES["torch"][0]):
            for order, means in ((RGB, known), (BGR, known[::-1])):
                if np.allclose(mean * unit, means, rtol=0, atol=_NEAR):
                    return unit, order
    return None, None


def _unit(mean: _Values, divisor: _Values) -> float | None:
    """The input's units where its mean is not a known one: by how large the numbers are."""
    for values in (np.abs(mean), divisor):
        if (values > 20).all():
            return 1.0
    if (mean == 0).all():
        return 255.0 if (divisor < 0.02).all() else None
    return 255.0 if (np.abs(mean) <= 1).all() else None


def _rgb(values: _Values, order: str) -> Triple:
    """By R, G, B. 255 / 255 is to be 1, so the last of a float64's digits are rounded off."""
    one, two, three = (float(f"{v:.12g}") for v in (values if order == RGB else values[::-1]))
    return one, two, three
