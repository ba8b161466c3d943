"""What the numbers of conv1_1 tell: whose training it is, which order of channels, which scale.

Two trainings of VGG16 are in use: Oxford's, in most forms, and torchvision's. Their first kernels
are known. A network derived from one of them keeps a conv1_1 that correlates with it near 1 in
one order of the channels, and not in the other: Oxford's flipped gives 0.84. How large the
numbers are, beside the known ones, tells the scale of the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vggfeat.inputs import CHANNELS, RGB, SCALES
from vggfeat.weights import oxford

Float32 = NDArray[np.float32]

OXFORD = "Oxford's"
TORCHVISION = "torchvision's"

# torchvision's vgg16-397923af, as printed in many places: red of conv1_1's first kernel, and its
# first biases.
_TORCHVISION_RED = (-0.5537, 0.1427, 0.5290, -0.5831, 0.3566, 0.7657, -0.6902, -0.0480, 0.4841)
_TORCHVISION_BIASES = (0.4034, 0.3778, 0.4644, -0.3228, 0.3940, -0.3953)
_PRINTED = 6e-5  # four decimals

_DERIVED = 0.9  # the least correlation of a fine-tuned conv1_1 with the one it began as
_SCALE_TOLERANCE = 0.1


@dataclass(frozen=True)
class Evidence:
    """What the numbers of conv1_1 say.

    Attributes:
        training: whose training it is derived from.
        channels: the order it takes.
        correlation: with the known kernel, in that order.
        scale: a name of `inputs.SCALES`, None where it cannot be told.
    """

    training: str
    channels: str
    correlation: float
    scale: str | None

    @property
    def is_exact(self) -> bool:
        """Whether the numbers that are known are all there, to the decimals that are known."""
        return self.correlation > 1 - _PRINTED


def examine(kernel: Float32, bias: Float32) -> Evidence | None:
    """Look at conv1_1 as a file has it: kernel float32 `[3,3,3,out]`, bias `[out]`."""
    if kernel.shape != oxford.conv1_1().shape:
        return None
    found = []
    for channels in CHANNELS:
        rgb = (kernel if channels == RGB else kernel[:, :, ::-1]).astype(np.float64)
        correlation = _correlation(rgb, oxford.conv1_1())
        if correlation > _DERIVED:
            found.append(Evidence(OXFORD, channels, correlation, _scale_beside_oxfords(rgb)))
        red = rgb[:, :, 0, 0].reshape(-1)
        correlation = _correlation(red, np.array(_TORCHVISION_RED))
        biases = _correlation(bias[: len(_TORCHVISION_BIASES)], np.array(_TORCHVISION_BIASES))
        if min(correlation, biases) > _DERIVED:
            found.append(Evidence(TORCHVISION, channels, correlation, _scale_beside_torch(red)))
    return max(found, key=lambda evidence: evidence.correlation, default=None)


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    a, b = a.reshape(-1) - a.mean(), b.reshape(-1).astype(np.float64) - b.mean()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms and np.isfinite(norms) else 0.0


def _scale_beside_oxfords(rgb: NDArray[np.float64]) -> str | None:
    """By how much larger the kernel is than Oxford's, which takes pixels of divisor one."""
    known = oxford.conv1_1().astype(np.float64)
    slopes = (rgb * known).sum(axis=(0, 1, 3)) / np.square(known).sum(axis=(0, 1, 3))
    return _scale_of(slopes)


def _scale_beside_torch(red: NDArray[np.float64]) -> str | None:
    known = np.array(_TORCHVISION_RED)
    slope = float(red @ known / (known @ known))
    return _scale_of(slope * np.array(SCALES["torch"][1]))


def _scale_of(divisor: NDArray[np.float64]) -> str | None:
    """The scale whose pixels are divided by so much, channel by channel."""
    for name in ("caffe", "torch", "tf", "unit"):
        if (np.abs(divisor / np.array(SCALES[name][1]) - 1) < _SCALE_TOLERANCE).all():
            return name
    return None
