"""What Keras models do to pixels, and what their weights tell without a configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from tests.networks import relative_error
from tests.weights.formats.keras_models import CROPS, WHOLE, adapted, at, base, pooled, saved
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.inputs import of_scale
from vggfeat.weights import formats
from vggfeat.weights.formats.keras.config import Node
from vggfeat.weights.formats.keras.input import NOTE, taken_by

UNDERSTOOD: dict[str, Callable[[Any], Any]] = {
    "adapted": adapted,
    "rescaled and adapted": lambda tensor: adapted(layers.Rescaling(0.5)(tensor)),
    "operations": lambda tensor: tensor / 127.5 - 1,
    "caffe": keras.applications.vgg16.preprocess_input,
    "torch": keras.applications.densenet.preprocess_input,
    "tf": keras.applications.mobilenet.preprocess_input,
    "augmented": lambda tensor: layers.Rescaling(0.5)(layers.GaussianNoise(0.1)(tensor)),
}


@cache
def understood(what: str) -> tuple[Any, NDArray[np.float32]]:
    """A model, and what it gives."""
    model = base(UNDERSTOOD[what])
    return model, np.asarray(model(CROPS.astype(np.float32), training=False))


@pytest.mark.parametrize("suffix", WHOLE)
@pytest.mark.parametrize("what", UNDERSTOOD)
def test_what_a_model_does_to_pixels_is_read(tmp_path: Path, what: str, suffix: str) -> None:
    model, expected = understood(what)
    weights = formats.read(saved(model, tmp_path / f"a.{suffix}"))
    assert "layers that rescale" in weights.origin.decided
    assert relative_error(Extractor(weights, "pool5")(CROPS), expected) < 1e-5
    assert (weights.origin.scale, weights.origin.channels) == ("caffe", "bgr") or what != "caffe"


@pytest.mark.parametrize("suffix", WHOLE)
def test_what_is_done_to_pixels_and_not_understood_is_not_guessed(
    tmp_path: Path, suffix: str
) -> None:
    path = saved(base(layers.Lambda(lambda tensor: tensor / 255)), tmp_path / f"a.{suffix}")
    with pytest.raises(WeightsError, match="neither its form nor its numbers tell"):
        formats.read(path)
    origin = formats.read(path, channels="rgb", scale="unit").origin
    assert NOTE in origin.warnings


def of_keras_2(kind: str, function: str, named: dict[str, Any], source: Node) -> Node:
    """An operation as tf.keras 2 writes it."""
    call = [[source.name, 0, 0, named]]
    return Node((), function, kind, {"name": function, "function": function}, (source,), call)


def test_preprocess_input_of_keras_2_within_a_model_is_read() -> None:
    images = Node((), "images", "InputLayer", {}, ())
    spec = [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]
    turned = of_keras_2("SlicingOpLambda", "__operators__.getitem", {"slice_spec": spec}, images)
    means = {"bias": [-103.939, -116.779, -123.68], "data_format": "channels_last"}
    added = of_keras_2("TFOpLambda", "nn.bias_add", means, turned)
    first = Node((), "block1_conv1", "Conv2D", {}, (added,))
    assert taken_by(first, {}).taken == of_scale("bgr", "caffe")


def test_numbers_of_operations_of_keras_2_are_read() -> None:
    images = Node((), "images", "InputLayer", {}, ())
    divided = of_keras_2("TFOpLambda", "math.truediv", {"y": 127.5, "name": None}, images)
    less = of_keras_2("TFOpLambda", "math.subtract", {"y": 1.0, "name": None}, divided)
    first = Node((), "block1_conv1", "Conv2D", {}, (less,))
    assert str(taken_by(first, {}).taken) == "RGB, tf scale"
    other = of_keras_2("TFOpLambda", "math.pow", {"y": 2.0, "name": None}, images)
    assert not taken_by(Node((), "c", "Conv2D", {}, (other,)), {}).understood


ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "some norms": (
        {"behind": at(["conv1_2"], lambda t: pooled(layers.BatchNormalization()(t)))},
        "weights alone do not tell.*give the whole model",
    ),
    "prelu": (
        {"behind": at(["conv2_1"], layers.PReLU(shared_axes=[1, 2]))},
        "no VGG16: p_re_lu.* is a PReLU",
    ),
    "colours": (
        {"before": layers.Conv2D(3, 1, name="colours")},
        "no VGG16: colours gives three channels of three",
    ),
    "norm of pixels": (
        {"before": layers.BatchNormalization()},
        "weights alone do not tell.*give the whole model",
    ),
    "adapted": (
        {"before": adapted},
        "neither its form nor its numbers tell",
    ),
}


@pytest.mark.parametrize("what", ALONE)
def test_what_learned_between_layers_is_seen_in_weights_alone(tmp_path: Path, what: str) -> None:
    options, message = ALONE[what]
    path = saved(base(**options), tmp_path / "a.weights.h5")
    with pytest.raises(WeightsError, match=message):
        formats.read(path)


def test_a_normalised_head_on_a_base_within_is_no_matter_to_weights_alone(tmp_path: Path) -> None:
    head = [layers.Flatten(), layers.Dense(32), layers.BatchNormalization(), layers.Dense(2)]
    whole = keras.Sequential([keras.Input((224, 224, 3)), base(), *head])
    path = saved(whole, tmp_path / "a.weights.h5")
    assert formats.read(path).layers == vgg16.CONVOLUTIONS
