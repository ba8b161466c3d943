"""Layers of any form -> the canonical arrays: kernels HWIO or `[in,out]`, RGB, float32.

Large kernels are turned in blocks, by all cores, so that no more than a block is held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.cores import cores
from vggfeat.errors import WeightsError
from vggfeat.inputs import BGR, Input
from vggfeat.weights.layers import Float64, Layer, Network
from vggfeat.weights.mapped import forget

Float32 = NDArray[np.float32]

# Output and input channels that are turned at a time: what is read and written then stays in a
# core's cache.
_OUTPUTS, _INPUTS = 32, 64


def convert(network: Network, taken: Input) -> Iterator[tuple[str, Float32]]:
    """The canonical tensors of a network, one after the other, `mean` last.

    Args:
        taken: what conv1_1 takes. The order of its channels and the divisor go into the
            kernel; the mean stays a subtraction, because zero padding comes after it.

    Raises:
        WeightsError: numbers that are not finite, or no floats.
    """
    for name in vgg16.LAYERS:
        if name not in network.layers:
            continue
        layer = network.layers[name]
        factor = None if layer.affine is None else layer.affine[0]
        kernel = _kernel(name, layer, factor)
        if name == vgg16.CONVOLUTIONS[0]:
            kernel = for_rgb(kernel, taken)
        _check_finite(name, kernel)
        yield f"{name}/kernel", kernel
        bias = _bias(name, layer)
        _check_finite(name, bias)
        yield f"{name}/bias", bias
    yield "mean", np.asarray(taken.mean, np.float32)


def conv1_1(network: Network) -> tuple[Float32, Float32]:
    """The first kernel and bias as the file has them: float32 `[3,3,3,out]` and `[out]`."""
    name = vgg16.CONVOLUTIONS[0]
    layer = network.layers[name]
    factor = None if layer.affine is None else layer.affine[0]
    return _kernel(name, layer, factor), _bias(name, layer)


def for_rgb(kernel: Float32, taken: Input) -> Float32:
    """conv1_1's kernel for RGB pixels minus the mean, made of one that takes `taken`."""
    if taken.channels == BGR:
        kernel = kernel[:, :, ::-1]
    if any(divisor != 1 for divisor in taken.divisor):
        return (kernel / np.array(taken.divisor, np.float64)[:, None]).astype(np.float32)
    return np.ascontiguousarray(kernel)


def _kernel(name: str, layer: Layer, factor: Float64 | None) -> Float32:
    array = _read(name, layer.kernel.read())
    if name in vgg16.CONVOLUTIONS:
        if layer.axes == "oihw":
            flat = array.reshape(layer.outputs, -1)
            return _turned(flat, layer.inputs, factor).reshape(layer.shape)
        return _float32(array if factor is None else array * factor)
    rows = np.prod(layer.shape[:-1], dtype=int)
    if layer.axes in ("hwio", "io") and (name != "fc6" or layer.flatten == "hwc"):
        dense = array.reshape(rows, layer.outputs)
        return _float32(dense if factor is None else dense * factor)
    channels = layer.inputs if layer.extent else rows // vgg16.POSITIONS
    by_output = array if layer.axes[0] == "o" else array.reshape(rows, layer.outputs).T
    chw = name == "fc6" and (layer.axes == "oihw" or layer.flatten == "chw")
    return _turned(by_output.reshape(layer.outputs, rows), channels if chw else rows, factor)


def _turned(source: NDArray[Any], channels: int, factor: Float64 | None) -> Float32:
    """`[out, channels * positions]` -> `[positions * channels, out]`."""
    out, rows = source.shape
    target = np.empty((rows // channels, channels, out), np.float32)

    def turn(begin: int) -> None:
        outputs = slice(begin, begin + _OUTPUTS)
        part = source[outputs]
        block = np.array(part).reshape(len(part), channels, -1)
        for inputs in (slice(at, at + _INPUTS) for at in range(0, channels, _INPUTS)):
            turned: NDArray[Any] = block[:, inputs].transpose(2, 1, 0)
            target[:, inputs, outputs] = turned if factor is None else turned * factor[outputs]
        forget(part)

    _in_parallel(turn, range(0, out, _OUTPUTS))
    return target.reshape(rows, out)


def _bias(name: str, layer: Layer) -> Float32:
    bias: NDArray[Any] = np.zeros(layer.outputs, np.float32)
    if layer.bias is not None:
        bias = _read(name, layer.bias.read()).reshape(-1)
    if layer.affine is not None:
        factor, offset = layer.affine
        bias = bias * factor + offset
    return _float32(bias)


def _read(name: str, array: NDArray[Any]) -> NDArray[Any]:
    native = array.dtype.newbyteorder("=")
    if native.kind not in "fV" or native.itemsize > 8:
        raise WeightsError(f"no VGG16: {name} holds {array.dtype}, expected float32")
    return array if array.dtype == native else array.astype(native)


def _float32(array: NDArray[Any]) -> Float32:
    """Contiguous and aligned; a mapped array that is so already is not copied."""
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
        made = np.require(array, np.float32, ["C", "A"])
    if made is not array:
        forget(array)
    return made


def _check_finite(name: str, array: Float32) -> None:
    flat = array.reshape(-1)
    pieces = range(0, len(flat), 1 << 20)
    if not all(
        _in_parallel(lambda begin: np.isfinite(flat[begin : begin + (1 << 20)]).all(), pieces)
    ):
        raise WeightsError(f"damaged: {name} holds numbers that are NaN or infinite")


def _in_parallel(work: Callable[[int], Any], items: range) -> list[Any]:
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, items))
