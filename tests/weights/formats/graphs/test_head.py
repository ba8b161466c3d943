"""fc6, fc7 and fc8 in every form, and other heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.networks import relative_error
from tests.weights.formats import onnx_models as models
from tests.weights.formats.given import CROPS, LAYERS, SAME, caffe, given_pixels, without_top
from tests.weights.formats.onnx_models import Model
from vggfeat import Extractor, vgg16


def test_another_head_leaves_the_convolutions(tmp_path: Path) -> None:
    heads: list[Callable[[Model], Any]] = [
        lambda model: model.add("GlobalAveragePool"),
        lambda model: model.add("Tanh"),
        lambda model: model.add("AveragePool", kernel_shape=[7, 7]),
        lambda model: model.add("Transpose", perm=[0, 3, 2, 1]),
        lambda model: model.add("MaxPool", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
    ]
    for number, head in enumerate(heads):
        model = Model()
        models.convolutions(model, LAYERS)
        head(model)
        models.connected(model, LAYERS)
        found = caffe(model.write(tmp_path / f"{number}.onnx"))
        assert found.fingerprint == without_top(), number


@pytest.mark.parametrize(
    ("between", "kept"), [("Sigmoid", ("fc6",)), ("LeakyRelu", ("fc6",)), ("Relu", ("fc6", "fc7"))]
)
def test_the_head_is_taken_as_far_as_it_is_vggs(
    between: str, kept: tuple[str, ...], tmp_path: Path
) -> None:
    """fc7 with another activation is another layer."""
    model = Model()
    models.convolutions(model, LAYERS)
    model.add("Flatten")
    for name, activation in (("fc6", "Relu"), ("fc7", between)):
        kernel, bias = LAYERS[name]
        model.add("MatMul", models.dense_chw(name, kernel))
        model.add("Add", bias)
        model.add(activation)
    model.add("MatMul", np.ones((256, 5), "f4"))
    model.add("Softmax")
    found = caffe(model.write(tmp_path / "a.onnx"))
    assert found.layers[13:][: len(kept)] == kept
    assert ("fc7" in found.layers) == ("fc7" in kept)


@pytest.mark.parametrize("shape", ["flatten", "fixed", "computed"])
def test_ways_to_flatten(shape: str, tmp_path: Path) -> None:
    model = Model()
    models.convolutions(model, LAYERS)
    model.add("AveragePool", kernel_shape=[1, 1])
    if shape == "fixed":
        model.add("Reshape", np.array([-1, 49 * 32]))
    elif shape == "computed":
        here = model.last
        model.add("Shape")
        model.add("Gather", np.array(0))
        model.add("Unsqueeze", np.array([0]))
        size = model.add("Concat", np.array([-1]), axis=0)
        model.add("Reshape", size, source=here)
    else:
        model.add("Flatten", axis=1)
    for name in ("fc6", "fc7"):
        kernel, bias = LAYERS[name]
        model.add("MatMul", models.dense_chw(name, kernel))
        model.add("Add", bias)
        model.add("Relu", name=name)
    path = model.write(tmp_path / "a.onnx")
    found = caffe(path)
    assert found.fingerprint == networks.weights(networks.without("fc8")).fingerprint
    expected = models.run(path, "fc7", given_pixels())
    assert relative_error(Extractor(found)(CROPS), expected) < 1e-5


def test_rows_in_the_order_of_a_transpose_before_the_flatten(tmp_path: Path) -> None:
    """As tf2onnx writes Keras' Flatten."""
    model = Model()
    models.convolutions(model, LAYERS)
    model.add("Transpose", perm=[0, 2, 3, 1])
    model.add("Reshape", np.array([-1, 49 * 32]))
    for name in vgg16.FULLY_CONNECTED:
        kernel, bias = LAYERS[name]
        model.add("MatMul", kernel)
        model.add("Add", bias)
        if name != "fc8":
            model.add("Relu")
    assert caffe(model.write(tmp_path / "a.onnx")).fingerprint == SAME


def test_connected_layers_as_convolutions(tmp_path: Path) -> None:
    for pads in ([0] * 4, [3] * 4):  # the second as fully convolutional networks have it
        model = Model()
        models.convolutions(model, LAYERS)
        for name in vgg16.FULLY_CONNECTED:
            kernel, bias = LAYERS[name]
            shape = vgg16.convolution_shape(name, kernel.shape)
            model.add("Conv", models.oihw(kernel.reshape(shape)), bias,
                      pads=pads if name == "fc6" else [0] * 4)  # fmt: skip
            if name != "fc8":
                model.add("Relu")
        model.add("Softmax", axis=1)
        assert caffe(model.write(tmp_path / "a.onnx")).fingerprint == SAME
