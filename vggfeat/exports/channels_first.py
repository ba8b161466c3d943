"""Tensors as PyTorch and ONNX keep them: OIHW, dense ones `[out,in]` with columns in C,H,W order.

A kernel is turned a block of output channels at a time, so that no layer is ever held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vggfeat import vgg16
from vggfeat.inputs import Triple
from vggfeat.vgg16 import Shape
from vggfeat.weights import names
from vggfeat.weights.canonical import Float32, Weights, as_bytes
from vggfeat.weights.mapped import forget
from vggfeat.weights.tensors import size

_BLOCK = 256  # output channels; of fc6 they are 26 MB


@dataclass(frozen=True)
class Turned:
    """A tensor to be written: float32, made block by block when it is asked for."""

    name: str
    shape: Shape
    blocks: Callable[[], Iterator[memoryview]]

    @property
    def count(self) -> int:
        return size(self.shape)

    @property
    def nbytes(self) -> int:
        return 4 * self.count


def turned(weights: Weights, divisor: Triple | None = None) -> list[Turned]:
    """All kernels and biases, `conv1_1.weight` ... by our names of the layers, in their order.

    Args:
        divisor: by which pixels are divided in addition; conv1_1 makes up for it.
    """
    tensors = []
    for layer in weights.layers:
        kernel, bias = (weights.tensors[f"{layer}/{part}"] for part in ("kernel", "bias"))
        if layer == vgg16.CONVOLUTIONS[0] and divisor is not None:
            kernel = (kernel * np.array(divisor, np.float64)[:, None]).astype(np.float32)
        tensors += [_kernel(layer, kernel), in_memory(f"{layer}.bias", bias)]
    return tensors


def in_memory(name: str, array: Float32) -> Turned:
    """A tensor that is written as it is."""
    return Turned(name, array.shape, lambda: iter([as_bytes(array)]))


def with_torch_names(tensors: list[Turned]) -> list[Turned]:
    """The same, `features.0.weight` ... `classifier.6.bias`."""
    by_layer = names.torchvision()
    renamed = []
    for tensor in tensors:
        layer, _, part = tensor.name.partition(".")
        renamed.append(replace(tensor, name=f"{by_layer[layer]}.{part}"))
    return renamed


def _kernel(layer: str, kernel: Float32) -> Turned:
    if layer in vgg16.CONVOLUTIONS:
        height, width, inputs, out = kernel.shape
        shape: Shape = (out, inputs, height, width)
        positions = height * width
    else:
        shape = kernel.shape[::-1]
        positions = vgg16.POSITIONS if layer == "fc6" else 1
    return Turned(f"{layer}.weight", shape, lambda: _blocks(kernel, positions))


def _blocks(kernel: Float32, positions: int) -> Iterator[memoryview]:
    """`[positions * channels, out]` -> `[out, channels * positions]`."""
    out = kernel.shape[-1]
    source = kernel.reshape(positions, -1, out)
    for begin in range(0, out, _BLOCK):
        yield as_bytes(source[:, :, begin : begin + _BLOCK].transpose(2, 1, 0))
    forget(kernel)
