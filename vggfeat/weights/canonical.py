"""The one form that every published form of VGG16 becomes.

Thirteen convolution kernels HWIO for RGB input, `fc6 [25088,4096]` with its rows in H,W,C
order, `fc7 [4096,4096]`, optionally fc8, all biases, all float32, and the mean to subtract.
Nothing downstream knows that other forms exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.activations import Activation
from vggfeat.cores import cores
from vggfeat.errors import WeightsError
from vggfeat.weights.origin import RANDOM, Origin

Float32 = NDArray[np.float32]
PIECE = 1 << 24  # bytes hashed by one core at a time


@dataclass(frozen=True, eq=False)
class Weights:
    """A VGG16, or a narrower network of its shape.

    Attributes:
        tensors: `conv1_1/kernel`, `conv1_1/bias` ... in the network's order, then `mean`
            (`[3]`, RGB, in units of 0..255).
        origin: where they come from, and how they were understood.
        kept_fingerprint: what is kept as the fingerprint beside them, where they come from a file
            of ours.
    """

    tensors: Mapping[str, Float32]
    origin: Origin
    kept_fingerprint: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that stand for all names, shapes and numbers."""
        return self.kept_fingerprint or fingerprint(self.tensors)

    @property
    def source(self) -> str:
        """Where they come from, in words."""
        return self.origin.source

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that these weights hold, in the network's order."""
        return tuple(name for name in vgg16.LAYERS if f"{name}/kernel" in self.tensors)

    @property
    def trained(self) -> bool:
        """False for the random weights, which are for trials only."""
        return self.origin.training != RANDOM

    @property
    def width_of(self) -> dict[str, int]:
        """Output channels of each layer that the weights hold."""
        return {name: self.tensors[f"{name}/bias"].shape[0] for name in self.layers}

    def up_to(self, activations: Iterable[Activation]) -> dict[str, Float32]:
        """The tensors that take part in one of them: nothing above is loaded."""
        taking_part = {layer for activation in activations for layer in activation.parts}
        wanted = [
            f"{layer}/{part}"
            for layer in vgg16.LAYERS
            if layer in taking_part
            for part in ("kernel", "bias")
        ]
        return {name: self.tensors[name] for name in ["mean", *wanted]}

    def describe(self) -> str:
        """What kind of network it is, in one line."""
        widths = self.width_of
        standard = all(widths[name] == vgg16.WIDTHS[name] for name in widths if name != "fc8")
        kind = "VGG16" if standard else "VGG16-shaped network with layers of other widths"
        connected = [name for name in vgg16.FULLY_CONNECTED if name in widths]
        if not connected:
            return f"{kind}, convolutions only (up to pool5)"
        text = f"{kind}, 13 convolutions and {', '.join(connected)}"
        return f"{text} ({widths['fc8']} classes)" if "fc8" in widths else text


def fingerprint(tensors: Mapping[str, Float32]) -> str:
    """sha256 over each tensor's name, shape, and the sha256 of each of its pieces of 16 MiB."""
    pieces = [
        (
            f"{name}{vgg16.text(array.shape)}" if begin == 0 else "",
            as_bytes(array)[begin : begin + PIECE],
        )
        for name, array in tensors.items()
        for begin in range(0, array.nbytes, PIECE)
    ]
    with ThreadPoolExecutor(cores()) as pool:
        digests = pool.map(lambda piece: hashlib.sha256(piece[1]).digest(), pieces)
        whole = hashlib.sha256()
        for (header, _), digest in zip(pieces, digests, strict=True):
            whole.update(header.encode() + digest)
    return whole.hexdigest()


def check_intact(weights: Weights) -> bool:
    """Compute the fingerprint anew, where one is kept beside the numbers: False where none is.

    Raises:
        WeightsError: the numbers have changed.
    """
    if weights.kept_fingerprint is None:
        return False
    if fingerprint(weights.tensors) != weights.fingerprint:
        raise WeightsError(f"damaged: the numbers no longer fit the fingerprint ({weights.source})")
    return True


def as_bytes(array: Float32) -> memoryview:
    """Little-endian, as files keep them."""
    return np.ascontiguousarray(array, "<f4").reshape(-1).view(np.uint8).data
