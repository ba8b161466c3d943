"""Networks that are nearly VGG16: what differs is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.weights.formats import onnx_models as models
from tests.weights.formats.given import LAYERS, caffe
from tests.weights.formats.onnx_models import LAST, Model, pool, usual
from vggfeat import WeightsError


def another(change: dict[str, Callable[[Model, str], None]]) -> Callable[[Model, str], None]:
    def step(model: Model, name: str) -> None:
        change.get(name, usual)(model, name)

    return step


def only(op: str, **attributes: Any) -> Callable[[Model, str], None]:
    def step(model: Model, name: str) -> None:
        model.add(op, **attributes)
        if name in LAST:
            pool(model)

    return step


def relu_then(op: str, *more: Any, **attributes: Any) -> Callable[[Model, str], None]:
    def step(model: Model, _: str) -> None:
        model.add("Relu")
        model.add(op, *more, **attributes)

    return step


NORM = [np.ones(4, "f4"), np.zeros(4, "f4"), np.zeros(4, "f4"), np.ones(4, "f4")]

UNLIKE: dict[str, tuple[dict[str, Callable[[Model, str], None]], str]] = {
    "leaky": ({"conv2_1": only("LeakyRelu")}, "conv2_1 is followed by LeakyRelu, expected Relu"),
    "clip": ({"conv1_1": only("Clip")}, "conv1_1 is followed by Clip, expected Relu"),
    "sigmoid at the end": (
        {"conv5_3": only("Sigmoid")},
        "conv5_3 is followed by Sigmoid, expected Relu",
    ),
    "none": ({"conv3_2": only("Identity")}, "conv3_2 is followed by no Relu"),
    "no pool": (
        {"conv2_2": lambda model, _: model.add("Relu") and None},
        "conv2_2 is followed by 0 2x2 max pools, expected 1",
    ),
    "a pool more": (
        {"conv4_1": relu_then("MaxPool", kernel_shape=[2, 2], strides=[2, 2])},
        "conv4_1 is followed by 1 2x2 max pools, expected 0",
    ),
    "average": (
        {"conv1_2": relu_then("AveragePool", kernel_shape=[2, 2], strides=[2, 2])},
        r"conv1_2 is followed by AveragePool over \(2, 2\) with strides \(2, 2\)",
    ),
    "3x3 pool": (
        {"conv1_2": relu_then("MaxPool", kernel_shape=[3, 3], strides=[2, 2])},
        r"conv1_2 is followed by MaxPool over \(3, 3\) with strides \(2, 2\)",
    ),
    "overlapping": (
        {"conv1_2": relu_then("MaxPool", kernel_shape=[2, 2], strides=[1, 1])},
        r"conv1_2 is followed by MaxPool over \(2, 2\) with strides \(1, 1\)",
    ),
    "norm behind": (
        {"conv1_1": relu_then("BatchNormalization", *NORM)},
        "conv1_1 has BatchNormalization behind its ReLU or pool",
    ),
    "scale behind": (
        {"conv1_1": relu_then("Mul", np.float32(0.5))},
        "conv1_1 has Mul behind its ReLU or pool",
    ),
    "turned": (
        {"conv1_1": relu_then("Transpose", perm=[0, 1, 3, 2])},
        "conv1_1 has its axes turned to NCWH",
    ),
    "averaged": (
        {"conv1_1": relu_then("GlobalAveragePool")},
        "conv1_1 is followed by an average over all positions",
    ),
    "reflection": (
        {"conv1_1": relu_then("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect")},
        "conv1_1 is followed by Pad",
    ),
    "padded twice": (
        {"conv1_1": relu_then("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]))},
        r"conv1_2 has padding \(2, 2, 2, 2\), expected \(1, 1, 1, 1\)",
    ),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_what_differs_is_said(case: str, tmp_path: Path) -> None:
    change, said = UNLIKE[case]
    model = Model()
    models.convolutions(model, LAYERS, another(change))
    models.connected(model, LAYERS)
    with pytest.raises(WeightsError, match=f"no VGG16: {said}"):
        caffe(model.write(tmp_path / "a.onnx"))


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"strides": [2, 2]}, r"conv1_1 has strides \(2, 2\), expected \(1, 1\)"),
        ({"dilations": [2, 2]}, r"conv1_1 has dilations \(2, 2\), expected \(1, 1\)"),
        ({"group": 3}, "conv1_1 has group 3, expected 1"),
        ({"pads": [0, 0, 0, 0]}, r"conv1_1 has padding \(0, 0, 0, 0\)"),
    ],
)
def test_another_convolution_is_said(attributes: dict[str, Any], said: str, tmp_path: Path) -> None:
    model = models.vgg(LAYERS)
    first = model.nodes[0]
    for key, value in attributes.items():
        kept = [a for a in first.attribute if a.name != key]
        del first.attribute[:]
        first.attribute.extend([*kept, models.helper.make_attribute(key, value)])
    with pytest.raises(WeightsError, match=f"no VGG16: {said}"):
        caffe(model.write(tmp_path / "a.onnx"))


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ((2, 2, 4, 4, 4), "it has 16 3x3 convolutions, expected 13 .16 are those of a VGG-19"),
        ((2, 2, 2, 2, 2), "it has 10 3x3 convolutions, expected 13 .10 are those of a VGG-13"),
        ((1, 1, 2, 2, 2), "it has 8 3x3 convolutions, expected 13 .8 are those of a VGG-11"),
        ((2, 2, 3, 3), "it has 10 3x3 convolutions, expected 13"),
        ((3, 2, 3, 3, 2), "conv1_2 is followed by 0 2x2 max pools, expected 1"),
    ],
)
def test_relatives_are_named(blocks: tuple[int, ...], said: str, tmp_path: Path) -> None:
    model = Model()
    channels = 3
    for count in blocks:
        for _ in range(count):
            model.add("Conv", np.ones((4, channels, 3, 3), "f4"), pads=[1, 1, 1, 1])
            model.add("Relu")
            channels = 4
        pool(model)
    with pytest.raises(WeightsError, match=f"no VGG16: {said}"):
        caffe(model.write(tmp_path / "a.onnx"))


def test_quantised_models_are_named(tmp_path: Path) -> None:
    model = Model()
    model.add("Relu")
    kernel = model.constant(np.ones((4, 3, 3, 3), np.int8))
    model.add("DequantizeLinear", np.float32(0.1), source=kernel, name="k")
    model.add("Conv", "k", source="data")
    with pytest.raises(WeightsError, match="0 3x3 convolutions.*it is quantised.*give the float"):
        caffe(model.write(tmp_path / "a.onnx"))


def test_what_onnx_runtime_lays_out_anew_is_named(tmp_path: Path) -> None:
    model = Model()
    model.add("Conv", np.ones((8, 3, 3, 3), np.float32), domain="com.microsoft.nchwc")
    with pytest.raises(WeightsError, match="0 3x3 convolutions.*ONNX Runtime.*NCHWc.*made from"):
        caffe(model.write(tmp_path / "a.onnx"))
