"""What the tests of many forms are given: crops, layers, pixels as networks take them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import networks
from vggfeat.weights import Weights, formats

CROPS = networks.pictures(2)
FLOATS = CROPS.astype(np.float32)
LAYERS = networks.layers()
MEAN = np.array(networks.MEAN_RGB, np.float32)
SAME = networks.weights().fingerprint


def caffe(path: Path) -> Weights:
    """Read a file that does not tell what it takes."""
    return formats.read(path, channels="rgb", scale="caffe")


def nchw(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)


def minus_mean(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (nchw(crops) - MEAN[:, None, None]).astype(np.float32)


def given_pixels() -> NDArray[np.float32]:
    return minus_mean(CROPS)


def without_top() -> str:
    """The fingerprint of the convolutions alone."""
    return networks.weights(networks.without("fc6", "fc7", "fc8")).fingerprint


class Evil:
    """What runs a command when it is unpickled: a file is there afterwards."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.touched}",)
