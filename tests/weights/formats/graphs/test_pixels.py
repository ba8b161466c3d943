"""Preprocessing inside a graph, by TensorFlow's operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.networks import relative_error
from tests.weights.formats import frozen_graphs as graphs
from tests.weights.formats.frozen_graphs import build, network, run, write
from tests.weights.formats.given import CROPS, FLOATS, LAYERS, MEAN, caffe
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats

v1 = tf.compat.v1


def ry(x: Any) -> Any:
    """As ry/tensorflow-vgg16: RGB in 0..1, scaled, split, subtracted, joined to BGR."""
    red, green, blue = tf.split(x * 255.0, 3, axis=3)
    return tf.concat([blue - MEAN[2], green - MEAN[1], red - MEAN[0]], axis=3)


def unstacked(x: Any) -> Any:
    red, green, blue = tf.unstack(x, axis=-1)
    return tf.stack([blue - MEAN[2], green - MEAN[1], red - MEAN[0]], axis=-1)


def picked(x: Any) -> Any:
    parts = [x[:, :, :, at] - MEAN[at] for at in (2, 1, 0)]
    return tf.concat([tf.expand_dims(part, 3) for part in parts], 3)


def ranges(x: Any) -> Any:
    return tf.concat([x[..., at : at + 1] for at in (2, 1, 0)], -1) - MEAN[::-1]


def channels_first_in_between(x: Any) -> Any:
    x = tf.transpose(x, [0, 3, 1, 2])[:, ::-1] - MEAN[::-1].reshape(3, 1, 1)
    return tf.transpose(x, [0, 2, 3, 1])


def normalised(x: Any) -> Any:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, with a deviation of 1."""
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    return v1.nn.fused_batch_norm(
        tf.reverse(x, [-1]), ones, zeros, MEAN[::-1].copy(), ones * 0.5, 0.5, is_training=False
    )[0]


INSIDE: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "ry's": (ry, tf.float32),
    "unstack and stack": (unstacked, tf.float32),
    "one by one": (picked, tf.float32),
    "slices": (ranges, tf.float32),
    "a step of -1": (lambda x: x[..., ::-1] - MEAN[::-1], tf.float32),
    "mean first": (lambda x: (x - MEAN)[:, :, :, ::-1], tf.float32),
    "reverse": (lambda x: tf.reverse(x, [3]) - MEAN[::-1], tf.float32),
    "gather": (lambda x: tf.gather(x, [2, 1, 0], axis=3) - MEAN[::-1], tf.float32),
    "bias": (lambda x: tf.nn.bias_add(tf.reverse(x, [3]), -MEAN[::-1]), tf.float32),
    "turned around": (lambda x: -(MEAN[::-1] - tf.reverse(x, [3])), tf.float32),
    "uint8": (lambda x: tf.cast(x, tf.float32)[..., ::-1] - MEAN[::-1], tf.uint8),
    "0..1 of uint8": (
        lambda x: (tf.image.convert_image_dtype(x, tf.float32) * 255.0)[..., ::-1] - MEAN[::-1],
        tf.uint8,
    ),
    "transposes": (channels_first_in_between, tf.float32),
    "batch norm": (normalised, tf.float32),
    "resize": (
        lambda x: v1.image.resize_bilinear(x, [224, 224])[..., ::-1] - MEAN[::-1],
        tf.float32,
    ),
    "squeeze": (
        lambda x: tf.expand_dims(tf.squeeze(x[..., ::-1], [0]) - MEAN[::-1], 0),
        tf.float32,
    ),
}


@pytest.mark.parametrize("inside", INSIDE)
def test_preprocessing_inside_the_graph_is_understood(inside: str, tmp_path: Path) -> None:
    """A network that takes BGR; the graph makes it of RGB."""
    prepare, dtype = INSIDE[inside]
    graph = build(lambda x: network(prepare(x), LAYERS), dtype, name="input")
    found = formats.read(write(graph, tmp_path / "inside.pb"))
    assert found.origin.decided == "declared by the preprocessing inside the graph"
    assert (found.origin.channels, found.origin.scale) == ("bgr", "caffe")
    expected = networks.converted(LAYERS, "bgr")
    for name, array in expected.tensors.items():
        np.testing.assert_allclose(found.tensors[name], array, rtol=1e-6, atol=0, err_msg=name)


def test_rys_graph_gives_its_own_fc7(tmp_path: Path) -> None:
    graph = build(lambda x: network(ry(x), LAYERS))
    found = formats.read(write(graph, tmp_path / "vgg16.tfmodel"))
    expected = run(graph, "fc7:0", {"images:0": FLOATS / 255})
    assert relative_error(Extractor(found)(CROPS), expected) < 1e-5


def test_a_graph_that_takes_bgr_is_told_by_its_mean(tmp_path: Path) -> None:
    graph = build(lambda x: network(x - MEAN[::-1], LAYERS), name="bgr_images")
    found = formats.read(write(graph, tmp_path / "a.pb"))
    assert found.origin.channels == "bgr"
    expected = run(graph, "fc7:0", {"bgr_images:0": FLOATS[..., ::-1]})
    assert relative_error(Extractor(found)(CROPS), expected) < 1e-5


def test_images_that_the_graph_decodes_are_rgb(tmp_path: Path) -> None:
    """A mean that tells nothing of the order of channels."""
    with tf.Graph().as_default() as graph:
        image = tf.io.decode_jpeg(v1.placeholder(tf.string, []), channels=3)
        resized = v1.image.resize_bilinear(tf.expand_dims(tf.cast(image, tf.float32), 0), [224] * 2)
        network(resized / 127.5 - 1, LAYERS)
    found = formats.read(write(graph.as_graph_def(), tmp_path / "a.pb"))
    assert (found.origin.channels, found.origin.scale) == ("rgb", "tf")


def test_a_keras_base_behind_a_plain_rescaling_is_asked_for(tmp_path: Path) -> None:
    """Its names stand for BGR, but Keras loads RGB: nothing says what its user gave it."""
    import keras

    base = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3))
    whole = keras.Sequential([keras.layers.Rescaling(1 / 255), base])
    path = write(graphs.keras_graph(whole)[0], tmp_path / "keras.pb")
    with pytest.raises(WeightsError, match="say it with --channels"):
        formats.read(path)
    assert formats.read(path, channels="rgb", scale="unit").layers == vgg16.CONVOLUTIONS


@pytest.mark.parametrize(
    "prepare",
    [
        lambda x: x / 127.5 - 1,
        lambda x: x - tf.constant(np.ones((224, 224, 3), np.float32)),
        lambda x: x - tf.reduce_mean(x),
        lambda x: tf.gather(x, [0, 0, 0], axis=3) - MEAN,
        lambda x: tf.concat([x[..., :2], x[..., :1]], 3) - MEAN,
        tf.sqrt,
        lambda x: x * 0.0,
        lambda x: tf.concat([*tf.split(x, [1, 2], 3)], 3) * tf.tanh(x),
    ],
)
def test_preprocessing_that_tells_too_little_is_asked_for(prepare: Any, tmp_path: Path) -> None:
    graph = build(lambda x: network(prepare(x), LAYERS))
    with pytest.raises(WeightsError, match="say it with --channels"):
        formats.read(write(graph, tmp_path / "a.pb"))


def test_what_is_not_understood_goes_with_the_weights_as_a_warning(tmp_path: Path) -> None:
    graph = build(lambda x: network(tf.sqrt(x), LAYERS))
    found = caffe(write(graph, tmp_path / "a.pb"))
    (warning,) = found.origin.warnings
    assert warning == "what the graph does to pixels before conv1_1 is not understood"
