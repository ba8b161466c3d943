"""fc6, fc7 and fc8 in NumPy, straight from the memory-mapped weights, over any size of pool5.

fc6 is a 7x7 convolution, so on a larger map there are several positions for it: each gives a
vector, and the activation of an image is their mean (the dense evaluation of section 3.2 of the
paper). The softmax is taken of the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vggfeat import vgg16
from vggfeat.activations import Activation
from vggfeat.weights.mapped import forget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.weights.canonical import Float32

# BLAS chooses its way by the shape, and each way has bits of its own: so there is one shape
# only, for images of one size. It costs an image that is alone 30 ms, and a full batch nothing.
ROWS_AT_ONCE = 32
_MOST_TIMES = 8  # as many where there are that many positions: BLAS reads the kernel once for all
_KERNEL_ROWS_HELD = 6272  # a quarter of fc6: 103 MB


class Connected:
    """The fully connected layers, as far as they take part.

    Args:
        tensors: of the layers that take part.
        activations: what to compute; maps among them are not looked at.
    """

    def __init__(self, tensors: Mapping[str, Float32], activations: Sequence[Activation]) -> None:
        self._layers = {
            layer: (tensors[f"{layer}/kernel"], tensors[f"{layer}/bias"])
            for layer in vgg16.FULLY_CONNECTED
            if f"{layer}/kernel" in tensors
        }
        self._wanted = {_before_softmax(a) for a in activations if not a.is_map}

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def __call__(self, pool5: Float32, activations: Sequence[Activation]) -> list[Float32]:
        """float32 `[n,h,w,512]` -> float32 `[n,4096]` of each activation."""
        means = self._means(pool5)
        return [_finished(means[_before_softmax(a)], a).astype(np.float32) for a in activations]

    def _means(self, pool5: Float32) -> dict[Activation, NDArray[np.float64]]:
        """Over the positions of each image, in blocks of rows that may be of several images."""
        windows = _windows(pool5)
        images, positions = len(windows), windows.shape[1] * windows.shape[2]
        at_once = ROWS_AT_ONCE * min(positions, _MOST_TIMES)
        totals: dict[Activation, NDArray[np.float64]] = {}
        for begin in range(0, images * positions, at_once):
            rows = np.arange(begin, begin + at_once)
            taken = np.unravel_index(rows % (images * positions), windows.shape[:3])
            block = windows[taken].reshape(at_once, -1)
            for activation, values in self._forward(block):
                total = totals.setdefault(activation, np.zeros((images, values.shape[1])))
                for row, value in zip(rows[: images * positions - begin], values, strict=False):
                    total[row // positions] += value
        return {activation: total / positions for activation, total in totals.items()}

    def _forward(self, x: Float32) -> Iterator[tuple[Activation, Float32]]:
        """What is wanted of one block, each to be used before the next is computed."""
        for layer, (kernel, bias) in self._layers.items():
            x = _product(x, kernel)
            x += bias
            if (linear := Activation(layer, linear=True)) in self._wanted:
                yield linear, x
            if layer in vgg16.WITH_RELU:
                np.maximum(x, 0, out=x)
            if (activation := Activation(layer)) in self._wanted:
                yield activation, x


def _windows(pool5: Float32) -> NDArray[np.float32]:
    """`[n,h,w,c]` -> `[n,h-6,w-6,7,7,c]`, without a copy."""
    side = vgg16.POOLED_SIZE
    windows = sliding_window_view(pool5, (side, side), axis=(1, 2))
    return np.asarray(windows.transpose(0, 1, 2, 4, 5, 3))


def _before_softmax(activation: Activation) -> Activation:
    return Activation("fc8") if activation.layer == "prob" else activation


def _finished(means: NDArray[np.float64], activation: Activation) -> NDArray[np.float64]:
    if activation.layer != "prob":
        return means
    powers = np.exp(means - means.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _product(x: Float32, kernel: Float32) -> Float32:
    """`x @ kernel`, so that no more than a part of the mapped kernel is held at a time."""
    total = np.zeros((len(x), kernel.shape[1]), np.float32)
    for begin in range(0, len(kernel), _KERNEL_ROWS_HELD):
        part = kernel[begin : begin + _KERNEL_ROWS_HELD]
        total += x[:, begin : begin + _KERNEL_ROWS_HELD] @ part
        forget(part)
    return total
