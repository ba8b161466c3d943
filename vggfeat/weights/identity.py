"""Which layers are the published network's, bit for bit: by the hashes of its 132 pieces.

The order in which the pieces were cut is that of Keras' published file: conv1_1's kernel (HWIO,
BGR), its bias, and so on to fc8's bias, little-endian float32. Each piece of 4 MiB has the hash
that git would give it as a file.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from vggfeat import vgg16
from vggfeat.cores import cores
from vggfeat.weights import oxford
from vggfeat.weights.canonical import Weights, as_bytes

_PIECE = 1 << 22

SAME, INSIDE, DIFFERS = (
    "as published",
    "as published, but for its ends, which are untold",
    "differs",
)


class _Stretch(NamedTuple):
    """A layer's place in the published order; `data` is None where the weights lack it."""

    layer: str
    begin: int
    end: int
    data: list[memoryview] | None

    @property
    def own_pieces(self) -> range:
        """Those that hold nothing of another layer."""
        is_last = self.layer == vgg16.LAYERS[-1]
        return range(
            -(-self.begin // _PIECE), len(oxford.pieces()) if is_last else self.end // _PIECE
        )


def compare(weights: Weights) -> dict[str, str]:
    """For each layer that the weights hold `SAME`, `INSIDE` or `DIFFERS`.

    `INSIDE` are fully connected layers that share a piece with a neighbour that differs or is
    missing, and are the published ones in all pieces that hold nothing else.
    """
    stretches = _stretches(weights)
    equal = _equal_pieces(stretches)
    found: dict[str, str] = {}
    for stretch in stretches:
        kernel, bias = (weights.tensors.get(f"{stretch.layer}/{p}") for p in ("kernel", "bias"))
        if kernel is None or bias is None:
            continue
        if stretch.layer in vgg16.CONVOLUTIONS:
            same = oxford.digest(kernel, bias) == oxford.digests()[stretch.layer]
        else:
            same = stretch.data is not None and all(equal[n] for n in stretch.own_pieces)
        found[stretch.layer] = SAME if same else DIFFERS
    for before, after in itertools.pairwise(stretches):
        if before.layer not in vgg16.CONVOLUTIONS[:-1] and not equal[before.end // _PIECE]:
            _settle(found, before.layer, after.layer)
    return found


def describe(compared: Mapping[str, str]) -> str:
    """What a comparison says of the whole; nothing where it says nothing."""
    convolutions = {compared.get(layer) for layer in vgg16.CONVOLUTIONS}
    if convolutions != {SAME}:
        return ""
    if set(compared.values()) == {SAME}:
        what = "network" if "fc8" in compared else "layers"
        return f"Oxford's: the published {what}, bit for bit"
    differing = [layer for layer, verdict in compared.items() if verdict == DIFFERS]
    if not differing:
        return "Oxford's: the published layers, bit for bit as far as can be told"
    return f"Oxford's convolutions, bit for bit; {', '.join(differing)} are others"


def _settle(found: dict[str, str], before: str, after: str) -> None:
    """Two neighbours share a piece that is not the published one: which of them is to blame."""
    explained = DIFFERS in (found.get(before, DIFFERS), found.get(after, DIFFERS))
    for layer in (before, after):
        if found.get(layer) == SAME and layer not in vgg16.CONVOLUTIONS:
            found[layer] = INSIDE if explained else DIFFERS


def _stretches(weights: Weights) -> list[_Stretch]:
    """All layers of the published sizes, one after the other."""
    stretches = []
    begin, channels = 0, 3
    for layer, width in vgg16.WIDTHS.items():
        shape = vgg16.kernel_shape(layer, channels, width)
        end = begin + 4 * (int(np.prod(shape)) + width)
        kernel = weights.tensors.get(f"{layer}/kernel")
        data = None
        if kernel is not None and kernel.shape == shape:
            if layer == vgg16.CONVOLUTIONS[0]:
                kernel = kernel[:, :, ::-1]
            data = [as_bytes(kernel), as_bytes(weights.tensors[f"{layer}/bias"])]
        stretches.append(_Stretch(layer, begin, end, data))
        begin, channels = end, width
    return stretches


def _equal_pieces(stretches: list[_Stretch]) -> list[bool | None]:
    """For each piece whether its hash is the published one; None where a part of it is missing."""

    def equal(number: int) -> bool | None:
        begin, end = number * _PIECE, min((number + 1) * _PIECE, stretches[-1].end)
        digest = hashlib.sha1(b"blob %d\0" % (end - begin), usedforsecurity=False)
        for stretch in stretches:
            if stretch.end <= begin or stretch.begin >= end:
                continue
            if stretch.data is None:
                return None
            at = stretch.begin
            for part in stretch.data:
                digest.update(part[max(begin - at, 0) : max(end - at, 0)])
                at += len(part)
        return digest.hexdigest() == oxford.pieces()[number]

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(equal, range(len(oxford.pieces()))))
