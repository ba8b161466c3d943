"""Frozen graphs, from the libraries whose graphs they are, against TensorFlow's own fc7."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.networks import relative_error
from tests.weights.formats import frozen_graphs as graphs
from tests.weights.formats.frozen_graphs import build, connected, convolutions, network, run, write
from tests.weights.formats.given import CROPS, FLOATS, LAYERS, MEAN, caffe
from tests.weights.formats.tables import TINY_LAYERS
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.freeze import freeze
from vggfeat.weights import formats
from vggfeat.weights.formats import frozen as form

v1 = tf.compat.v1


def test_our_own_graph_comes_back_bit_for_bit(tmp_path: Path) -> None:
    weights = networks.weights(networks.without("fc8"))
    freeze(weights, tmp_path / "vgg16.pb")
    found = formats.read(tmp_path / "vgg16.pb")
    assert found.fingerprint == weights.fingerprint
    assert found.origin.decided == "declared by the preprocessing inside the graph"


def test_slims_graph(tmp_path: Path) -> None:
    graph = graphs.slim(LAYERS)
    weights = formats.read(write(graph, tmp_path / "slim.pb"))
    assert weights.fingerprint == networks.weights().fingerprint
    assert weights.origin.decided == "declared by TF-Slim's names"
    expected = run(graph, "vgg_16/fc7/Relu:0", {"images:0": FLOATS - MEAN})
    assert relative_error(Extractor(weights)(CROPS), expected[:, 0, 0]) < 1e-5


def test_kerass_graph(tmp_path: Path) -> None:
    model = networks.keras_vgg16(classes=7)
    weights = formats.read(write(graphs.keras_graph(model)[0], tmp_path / "keras.pb"))
    assert weights.origin.decided == "declared by the names of keras.applications"
    assert weights.width_of["fc8"] == 7
    expected = networks.keras_features(model, "fc2", CROPS)
    assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


@pytest.mark.parametrize("pooling", [None, "avg", "max"])
def test_keras_without_the_top(pooling: str | None, tmp_path: Path) -> None:
    model = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3), pooling=pooling)
    weights = formats.read(write(graphs.keras_graph(model)[0], tmp_path / "keras.pb"))
    assert weights.layers == vgg16.CONVOLUTIONS
    expected = networks.keras_features(model, "block5_pool", CROPS)
    assert relative_error(Extractor(weights, "pool5")(CROPS), expected) < 1e-5


def test_a_keras_base_with_another_head_and_augmentation(tmp_path: Path) -> None:
    import keras

    base = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3))
    whole = keras.Sequential(
        [keras.layers.RandomFlip(), base, keras.layers.GlobalAveragePooling2D(),
         keras.layers.Dense(64, activation="relu"), keras.layers.Dense(5, activation="softmax")]
    )  # fmt: skip
    weights = formats.read(write(graphs.keras_graph(whole)[0], tmp_path / "keras.pb"))
    assert weights.layers == vgg16.CONVOLUTIONS
    expected = networks.keras_features(base, "block5_pool", CROPS)
    assert relative_error(Extractor(weights, "pool5")(CROPS), expected) < 1e-5


def test_channels_first_and_rows_in_their_order(tmp_path: Path) -> None:
    def make(x: Any) -> None:
        x = tf.transpose(x - MEAN, [0, 3, 1, 2])
        x = convolutions(x, LAYERS, data_format="NCHW")
        turned = LAYERS["fc6"][0].reshape(49, -1, 256).transpose(1, 0, 2).reshape(-1, 256)
        connected(x, LAYERS | {"fc6": (turned, LAYERS["fc6"][1])})

    found = formats.read(write(build(make), tmp_path / "nchw.pb"))
    assert found.fingerprint == networks.weights().fingerprint


def test_variables_that_are_not_frozen(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [None, 224, 224, 3])
        with networks.narrow_slim(10) as vgg:
            vgg.vgg_16(images, num_classes=10, is_training=False)
    path = write(graph.as_graph_def(), tmp_path / "a.pb")
    with pytest.raises(WeightsError, match="no VGG16.*its numbers are in a checkpoint: give that"):
        formats.read(path)


def test_a_graph_as_text(tmp_path: Path) -> None:
    graph = build(lambda x: network(x, LAYERS))
    tf.io.write_graph(graph, str(tmp_path), "graph.pbtxt")
    with pytest.raises(WeightsError, match="graph.pbtxt: a TensorFlow graph as text: write it as"):
        formats.read(tmp_path / "graph.pbtxt")


def test_functions_are_named(tmp_path: Path) -> None:
    called = tf.function(lambda x: network(x, LAYERS))
    with tf.Graph().as_default() as graph:
        called(v1.placeholder(tf.float32, [None, 224, 224, 3]))
    with pytest.raises(WeightsError, match="it calls functions: freeze it with"):
        formats.read(write(graph.as_graph_def(), tmp_path / "a.pb"))


def test_a_graph_cut_short_or_with_bytes_changed_is_one_sentence(tmp_path: Path) -> None:
    data = build(lambda x: network(x, TINY_LAYERS)).SerializeToString()
    generator = np.random.default_rng(0)
    path = tmp_path / "a.pb"
    refused = 0
    for number in range(300):
        edited = bytearray(data[: int(len(data) * number / 50)] if number < 50 else data)
        if number >= 50:
            for at in generator.integers(0, len(data), 3):
                edited[at] = generator.integers(256)
        path.write_bytes(edited)
        with contextlib.suppress(WeightsError):
            caffe(path)
            continue
        refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"node",
        b"\x0a\x06conv11\x12\x03abc",  # what Caffe's network could begin with
        b"\x08\x01\x12\x03abc",  # what a SavedModel begins with
        b"PK\x03\x04",
        b"\x80\x02}q\x00.",
    ],
)
def test_what_is_no_graph_is_not_recognised(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pb"
    path.write_bytes(data)
    assert not form.recognise(path)
    assert not form.recognise(tmp_path)
    assert not form.recognise(tmp_path / "nothing")


def test_a_saved_model_is_not_taken_for_a_graph(tmp_path: Path) -> None:
    module = tf.Module()
    module.v = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    assert not form.recognise(tmp_path / "saved" / "saved_model.pb")
