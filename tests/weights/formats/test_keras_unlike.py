"""Keras models that have VGG16's kernels and are no VGG16: refused, or given up to what differs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.networks import relative_error
from tests.weights.formats.keras_models import (
    CLOSING,
    CROPS,
    WHOLE,
    at,
    base,
    pooled,
    saved,
    with_head,
)
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats

UNLIKE: dict[str, tuple[dict[str, Any], str]] = {
    "valid": ({"of_layer": lambda name: {"padding": "valid"}}, "block1_conv1.*padding valid"),
    "dilated": (
        {"of_layer": lambda name: {"dilation_rate": 2} if name == "conv5_2" else {}},
        r"block5_conv2 \(Conv2D\) has dilation_rate \[2, 2\]",
    ),
    "strides": (
        {
            "of_layer": lambda name: {"strides": 2} if name in CLOSING else {},
            "behind": lambda name, tensor: tensor,
        },
        r"block1_conv2 \(Conv2D\) has strides \[2, 2\], expected 1",
    ),
    "pool of stride 1": (
        {"behind": at(["conv4_3"], layers.MaxPooling2D(2, strides=1, padding="same"))},
        r"strides \[1, 1\], expected 2 and 2",
    ),
    "pool over 3x3": (
        {"behind": at(["conv1_2"], layers.MaxPooling2D(3, strides=2, padding="same"))},
        r"pool_size \[3, 3\] and strides \[2, 2\], expected 2 and 2",
    ),
    "pool elsewhere": (
        {
            "behind": lambda name, tensor: (
                pooled(tensor) if name in ("conv1_1", *CLOSING[1:]) else tensor
            )
        },
        "1 max poolings stand before conv1_2, expected 0",
    ),
    "pool missing": ({"behind": at(["conv3_3"], lambda t: t)}, "0 max poolings.*before conv4_1"),
    "average": ({"behind": at(["conv2_2"], layers.AveragePooling2D(2))}, "AveragePooling2D"),
    "padding twice": (
        {"behind": at(["conv3_1"], layers.ZeroPadding2D(1))},
        "block3_conv2.*has padding same, with zero_padding2d",
    ),
    "reshaped": (
        {"behind": at(["conv1_1"], layers.Reshape((448, 112, -1)))},
        r"\(Reshape\) stands before conv1_2",
    ),
    "last elu": (
        {"of_layer": lambda name: {"activation": "elu"} if name == "conv5_3" else {}},
        r"block5_conv3 \(Conv2D\) is elu, expected relu",
    ),
    "last linear": (
        {"of_layer": lambda name: {"activation": None} if name == "conv5_3" else {}},
        "block5_conv3.*is linear, expected relu",
    ),
    "one linear": (
        {"of_layer": lambda name: {"activation": None} if name == "conv2_1" else {}},
        "block2_conv1.*is linear, expected relu",
    ),
    "relu6": ({"behind": at(["conv1_1"], layers.ReLU(max_value=6))}, r"ReLU\) stands before"),
    "colours": ({"before": layers.Conv2D(3, 1)}, r"stands before conv1_1 and learns"),
    "norm of pixels": (
        {"before": layers.BatchNormalization()},
        r"BatchNormalization\) stands before conv1_1 and learns",
    ),
}


@cache
def unlike(what: str) -> Any:
    return base(**UNLIKE[what][0])


@pytest.mark.parametrize("suffix", WHOLE)
@pytest.mark.parametrize("what", UNLIKE)
def test_what_is_no_vgg16_by_its_configuration_is_refused(
    tmp_path: Path, what: str, suffix: str
) -> None:
    message = UNLIKE[what][1]
    path = saved(unlike(what), tmp_path / f"a.{suffix}")
    with pytest.raises(WeightsError, match=f"no VGG16: .*(?:{message})"):
        formats.read(path)


def test_zeros_before_valid_convolutions_are_same_padding(tmp_path: Path) -> None:
    """As VGG16 was first written for Keras."""

    def behind(name: str, tensor: Any) -> Any:
        tensor = pooled(tensor) if name in CLOSING else tensor
        return tensor if name == "conv5_3" else layers.ZeroPadding2D(1)(tensor)

    model = base(layers.ZeroPadding2D(1), behind, lambda name: {"padding": "valid"})
    expected = np.asarray(model(keras.applications.vgg16.preprocess_input(CROPS * 1.0)))
    for suffix in WHOLE:
        found = Extractor(saved(model, tmp_path / f"a.{suffix}"), "pool5")(CROPS)
        assert relative_error(found, expected) < 1e-5


@cache
def headed(first: str | None, second: str | None) -> Any:
    return with_head(base(), first, second)


@pytest.mark.parametrize("suffix", WHOLE)
@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("relu", "relu", ("fc6", "fc7", "fc8")),
        ("tanh", "relu", ()),
        ("selu", "selu", ()),
        ("relu", "tanh", ("fc6",)),
        ("relu", "sigmoid", ("fc6",)),
        ("relu", None, ("fc6",)),
        (None, "relu", ()),
    ],
)
def test_of_a_head_that_is_not_vgg16s_what_is_below_is_given(
    tmp_path: Path, suffix: str, first: str | None, second: str | None, kept: tuple[str, ...]
) -> None:
    path = saved(headed(first, second), tmp_path / f"a.{suffix}")
    assert formats.read(path).layers == (*vgg16.CONVOLUTIONS, *kept)


def test_a_head_in_another_order_of_positions_is_left_out(tmp_path: Path) -> None:
    flat = keras.Sequential([layers.Permute((3, 1, 2)), layers.Flatten()])
    path = saved(with_head(base(), "relu", "relu", flat), tmp_path / "a.keras")
    assert formats.read(path).layers == vgg16.CONVOLUTIONS


@pytest.mark.parametrize("suffix", WHOLE)
def test_another_last_pooling_leaves_the_convolutions(tmp_path: Path, suffix: str) -> None:
    model = base(behind=at(["conv5_3"], layers.GlobalAveragePooling2D()))
    assert formats.read(saved(model, tmp_path / f"a.{suffix}")).layers == vgg16.CONVOLUTIONS


def test_a_model_in_time_distributed_is_looked_at_too(tmp_path: Path) -> None:
    for number, options in enumerate(({}, UNLIKE["dilated"][0])):
        frames = keras.Input((2, 224, 224, 3))
        whole = keras.Model(frames, layers.TimeDistributed(base(**options))(frames))
        for suffix in WHOLE:
            path = saved(whole, tmp_path / f"{number}.{suffix}")
            if not options:
                assert formats.read(path).layers == vgg16.CONVOLUTIONS
                continue
            with pytest.raises(WeightsError, match="dilation_rate"):
                formats.read(path)
