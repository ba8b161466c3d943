"""The networks that every form is tried with."""

from __future__ import annotations

import numpy as np

from tests import networks
from vggfeat import vgg16
from vggfeat.weights.canonical import Weights

CROPS = networks.pictures()
TORCH_MEAN = (123.675, 116.28, 103.53)
OTHER_MEAN = (104.0, 117.0, 123.0)


def whole() -> Weights:
    return networks.weights()


def without_fc8() -> Weights:
    return networks.weights(networks.without("fc8"))


def convolutions() -> Weights:
    return networks.weights(networks.without(*vgg16.FULLY_CONNECTED))


def with_mean(mean: tuple[float, float, float], weights: Weights | None = None) -> Weights:
    made = weights or whole()
    return Weights({**made.tensors, "mean": np.array(mean, np.float32)}, made.origin)


def assert_same(found: Weights, expected: Weights) -> None:
    """Every tensor bit for bit."""
    assert list(found.tensors) == list(expected.tensors)
    for name, array in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array, err_msg=name)
