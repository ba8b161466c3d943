"""fc7 in float64, written to be read: what every way's numbers are held against.

Run as a program, because the process that measures has to stay small.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.weights import Weights
from vggfeat.weights.formats import canonical

Float64 = NDArray[np.float64]


def main(weights_file: str, *crop_files: str) -> None:
    """Write `NAME.fc7.npy` beside each `NAME.npy` of crops."""
    weights = canonical.read(Path(weights_file))
    for name in crop_files:
        crops = np.load(name)[:2]
        np.save(reference_file(Path(name)), np.stack([fc7(weights, crop) for crop in crops]))


def reference_file(crops: Path) -> Path:
    return crops.with_suffix(".fc7.npy")


def fc7(weights: Weights, crop: NDArray[np.uint8]) -> Float64:
    """uint8 `[224,224,3]` -> `[4096]`."""
    x: Float64 = crop.astype(np.float64) - weights.tensors["mean"]
    for block in vgg16.BLOCKS:
        for layer in block:
            x = np.maximum(_convolved(x, *_pair(weights, layer)), 0)
        height, width, channels = x.shape
        x = x.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))
    x = x.reshape(-1)
    for layer in ("fc6", "fc7"):
        kernel, bias = _pair(weights, layer)
        x = np.maximum(x @ kernel + bias, 0)
    return x


def relative_error(found: NDArray[np.float32], expected: Float64) -> float:
    """The largest error of any row, relative to the row's norm."""
    difference = np.linalg.norm(found - expected, axis=1)
    return float((difference / np.linalg.norm(expected, axis=1)).max())


def _convolved(x: Float64, kernel: Float64, bias: Float64) -> Float64:
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    total = np.tile(bias, (height, width, 1))
    for row in range(3):
        for column in range(3):
            total += padded[row : row + height, column : column + width] @ kernel[row, column]
    return total


def _pair(weights: Weights, layer: str) -> tuple[Float64, Float64]:
    kernel, bias = (weights.tensors[f"{layer}/{part}"] for part in ("kernel", "bias"))
    return kernel.astype(np.float64), bias.astype(np.float64)


if __name__ == "__main__":
    main(*sys.argv[1:])
