"""What an exported network takes, as its framework's users say it."""

from __future__ import annotations

import numpy as np

from vggfeat.inputs import RGB, SCALES, Input, Triple
from vggfeat.weights.canonical import Weights

_PLAIN = (1.0, 1.0, 1.0)


def plain(weights: Weights, channels: str = RGB) -> Input:
    """Pixels minus the mean, in an order of channels: what canonical numbers take."""
    red, green, blue = (float(value) for value in weights.tensors["mean"])
    return Input(channels, (red, green, blue), _PLAIN)


def of_torch(weights: Weights) -> Input:
    """What the network takes as a PyTorch file.

    With torchvision's mean its scale too, so that the usual `Normalize` is right. Otherwise
    plain, as torchvision's own `VGG16_Weights.IMAGENET1K_FEATURES` takes it.
    """
    taken = plain(weights)
    if has_mean_of("torch", weights):
        return Input(RGB, taken.mean, SCALES["torch"][1])
    return taken


def has_mean_of(scale: str, weights: Weights) -> bool:
    """Whether the mean is that of a scale, but for rounding."""
    return np.allclose(weights.tensors["mean"], SCALES[scale][0], rtol=0, atol=0.01)


def normalize(taken: Input) -> str:
    """The transform of torchvision that prepares pixels in 0..1 for it."""
    if taken.scale == "torch":
        return "Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])"
    mean = ", ".join(f"{value / 255:.7g}" for value in taken.mean)
    return f"Normalize(mean=[{mean}], std=[1 / 255] * 3)"


def words(values: Triple) -> str:
    """`123.68, 116.779, 103.939`."""
    return ", ".join(f"{value:.7g}" for value in values)
