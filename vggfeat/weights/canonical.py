"""The one form that every published form of VGG16 becomes.

Thirteen convolution kernels HWIO for RGB input, `fc6 [25088,4096]` with its rows in H,W,C
order, `fc7 [4096,4096]`, optionally fc8, all biases, all float32, and the mean to subtract.
Nothing downstream knows that other forms exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.errors import WeightsError

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Weights:
    """A VGG16, or a narrower network of its shape.

    Attributes:
        tensors: `conv1_1/kernel`, `conv1_1/bias` ... in the network's order, then `mean`
            (`[3]`, RGB, in units of 0..255).
        source: where they come from, in words.
        fingerprint: sha256 (64 hexadecimal digits) over all names, shapes and numbers.
    """

    tensors: Mapping[str, Float32]
    source: str
    fingerprint: str

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that these weights hold, in the network's order."""
        return tuple(name for name in vgg16.LAYERS if f"{name}/kernel" in self.tensors)

    @property
    def trained(self) -> bool:
        """False for the random weights, which are for trials only."""
        return not self.source.startswith("random")

    @property
    def width_of(self) -> dict[str, int]:
        """Output channels of each layer that the weights hold."""
        return {name: self.tensors[f"{name}/bias"].shape[0] for name in self.layers}

    def up_to(self, output: str) -> dict[str, Float32]:
        """The tensors that take part in an output: nothing above it is loaded."""
        wanted = [f"{name}/{part}" for name in vgg16.OUTPUTS[output] for part in ("kernel", "bias")]
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


def from_layers(
    layers: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
    *,
    mean_rgb: tuple[float, float, float],
    channels: str,
    source: str,
) -> Weights:
    """Make the canonical set of a network's layers.

    Args:
        layers: kernel and bias by layer name, of any float type; kernels HWIO, those of fully
            connected layers dense `[in,out]` (rows of fc6 in H,W,C order) or as convolutions.
        mean_rgb: what the network was trained to have subtracted, in 0..255.
        channels: `rgb` or `bgr`, the order that conv1_1 takes.
        source: where they come from, in words.

    Raises:
        WeightsError: the layers are no VGG16, or hold numbers that are not finite.
    """
    known = {name: layers[name] for name in vgg16.LAYERS if name in layers}
    vgg16.check(
        {
            name: (vgg16.canonical_shape(name, kernel.shape), bias.shape)
            for name, (kernel, bias) in known.items()
        }
    )
    tensors: dict[str, Float32] = {}
    for name, (kernel, bias) in known.items():
        shape = vgg16.canonical_shape(name, kernel.shape)
        flipped = name == "conv1_1" and channels == "bgr"
        rgb = kernel[:, :, ::-1] if flipped else kernel
        tensors[f"{name}/kernel"] = _float32(name, rgb).reshape(shape)
        tensors[f"{name}/bias"] = _float32(name, bias)
    tensors["mean"] = np.asarray(mean_rgb, np.float32)
    return Weights(tensors, source, fingerprint(tensors))


def fingerprint(tensors: Mapping[str, Float32]) -> str:
    """sha256 over the names, shapes and little-endian bytes of all tensors, in their order."""
    digest = hashlib.sha256()
    for name, array in tensors.items():
        digest.update(f"{name}{vgg16.text(array.shape)}".encode())
        digest.update(np.ascontiguousarray(array, "<f4").reshape(-1).data)
    return digest.hexdigest()


def check_intact(weights: Weights) -> None:
    """Compute the fingerprint anew. Raises WeightsError where the numbers have changed."""
    if fingerprint(weights.tensors) != weights.fingerprint:
        raise WeightsError(f"damaged: the numbers no longer fit the fingerprint ({weights.source})")


def _float32(layer: str, array: NDArray[Any]) -> Float32:
    if not np.issubdtype(array.dtype, np.floating) and array.dtype.name != "bfloat16":
        raise WeightsError(f"no VGG16: {layer} holds {array.dtype}, expected float32")
    result = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(result).all():
        raise WeightsError(f"damaged: {layer} holds numbers that are NaN or infinite")
    return result
