"""The self-test's network: VGG16 at a sixteenth of its widths, and plainly what it gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.weights.canonical import Weights
from vggfeat.weights.random import random_weights

LAYERS = ("fc6", "fc7")
_WIDTHS = {name: width // 16 for name, width in vgg16.WIDTHS.items() if name != "fc8"}
_SEED = 16


def weights() -> Weights:
    """Random kernels, and biases that are all different from zero."""
    generator = np.random.default_rng(_SEED)
    made = random_weights(_WIDTHS, _SEED)
    biases = {
        f"{name}/bias": generator.normal(0, 5, width).astype(np.float32)
        for name, width in _WIDTHS.items()
    }
    return replace(made, tensors={**made.tensors, **biases})


def pictures(count: int) -> NDArray[np.uint8]:
    """Smooth colours and noise: uint8 `[count,224,224,3]`."""
    generator = np.random.default_rng(_SEED)
    coarse = generator.integers(0, 256, (count, 7, 7, 3))
    noise = generator.integers(-20, 21, (count, vgg16.SIZE, vgg16.SIZE, 3))
    smooth = coarse.repeat(vgg16.SIZE // 7, axis=1).repeat(vgg16.SIZE // 7, axis=2)
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def fc7(weights: Weights, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the network gives in float64, for uint8 `[n,224,224,3]` RGB: `[n,d]`."""
    tensors = {name: np.asarray(array, np.float64) for name, array in weights.tensors.items()}
    x = images - tensors["mean"]
    for block in vgg16.BLOCKS:
        for layer in block:
            x = _convolved(x, tensors[f"{layer}/kernel"], tensors[f"{layer}/bias"])
        n, height, width, channels = x.shape
        x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    x = x.reshape(len(x), -1)
    for layer in LAYERS:
        x = np.maximum(x @ tensors[f"{layer}/kernel"] + tensors[f"{layer}/bias"], 0)
    return x


def _convolved(
    x: NDArray[np.float64], kernel: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A convolution of 3x3, `SAME`, and its ReLU: `[n,h,w,c]` -> `[n,h,w,d]`."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [(row, column) for row in range(3) for column in range(3)]
    out = np.broadcast_to(bias, (len(x), height, width, len(bias)))
    for i, j in shifts:
        out = out + padded[:, i : i + height, j : j + width] @ kernel[i, j]
    return np.maximum(out, 0)
