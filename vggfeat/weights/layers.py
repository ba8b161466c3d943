"""A layer as a file holds it, and the network that its layers make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.inputs import Input
from vggfeat.vgg16 import Shape
from vggfeat.weights.tensors import Tensor

Float64 = NDArray[np.float64]
Affine = tuple[Float64, Float64]  # y = factor * x + offset, by channel
Name = tuple[str, ...]  # of a layer or tensor in a file, in parts


@dataclass(frozen=True)
class Layer:
    """A convolution or fully connected layer: y = factor * (kernel x + bias) + offset.

    Attributes:
        path: its name in the file, in parts: `("features", "0")`, `("vgg_16", "fc6")`.
        kernel: its kernel, with the axes that `axes` names.
        axes: `hwio` or `oihw` of a convolution, `io` or `oi` of a dense layer.
        bias: None where the layer has none.
        affine: factor and offset by output channel, of a batch normalisation behind it.
        flatten: `hwc` or `chw`, the order in which a dense fc6 reads pool5.
    """

    path: Name
    kernel: Tensor
    axes: str
    bias: Tensor | None = None
    affine: Affine | None = None
    flatten: str = "hwc"

    @property
    def shape(self) -> Shape:
        """Of the kernel, with the axes in the order H, W, in, out (or in, out)."""
        sides = dict(zip(self.axes, self.kernel.shape, strict=True))
        return tuple(sides[axis] for axis in "hwio" if axis in sides)

    @property
    def inputs(self) -> int:
        return self.shape[-2]

    @property
    def outputs(self) -> int:
        return self.shape[-1]

    @property
    def extent(self) -> Shape:
        """`(3, 3)` of a 3x3 convolution, `()` of a dense layer."""
        return self.shape[:-2]


@dataclass(frozen=True)
class Network:
    """A VGG16 that was found in a file, nothing of it converted yet.

    Attributes:
        form: what the file is, in words.
        layers: by the names of `vgg16.LAYERS`; all convolutions, and what more there is.
        declared: what the form says that conv1_1 takes; None where it does not say.
        declared_by: how it says so, to follow "by": `torchvision's names`.
        notes: what a user of it should hear.
    """

    form: str
    layers: Mapping[str, Layer]
    declared: Input | None = None
    declared_by: str = ""
    notes: tuple[str, ...] = ()


def batch_norm(
    gamma: NDArray[Any] | float,
    beta: NDArray[Any] | float,
    mean: NDArray[Any],
    variance: NDArray[Any],
    epsilon: float,
) -> Affine:
    """Factor and offset of a batch normalisation that no longer learns.

    gamma * (y - mean) / sqrt(variance + epsilon) + beta (Ioffe and Szegedy 2015).
    """
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    with np.errstate(all="ignore"):  # what comes out as NaN is refused with the numbers
        factor = np.asarray(gamma, np.float64) / np.sqrt(variance + epsilon)
        return factor, np.asarray(beta, np.float64) - mean * factor


def then(first: Affine | None, second: Affine) -> Affine:
    """Factor and offset of one after the other."""
    if first is None:
        return second
    with np.errstate(all="ignore"):
        return first[0] * second[0], first[1] * second[0] + second[1]
