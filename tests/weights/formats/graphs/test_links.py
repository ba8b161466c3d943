"""The ways to write one layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.networks import relative_error
from tests.weights.formats.frozen_graphs import build, connected, convolutions, network, run, write
from tests.weights.formats.given import CROPS, FLOATS, LAYERS, MEAN, caffe
from vggfeat import Extractor, vgg16
from vggfeat.weights import formats

v1 = tf.compat.v1


def padded(x: Any, layers: networks.Layers) -> Any:
    for block in vgg16.BLOCKS:
        for name in block:
            x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
            x = tf.nn.relu(tf.nn.conv2d(x, layers[name][0], 1, "VALID") + layers[name][1])
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return x


def explicit(x: Any, layers: networks.Layers) -> Any:
    for block in vgg16.BLOCKS:
        for name in block:
            x = tf.nn.conv2d(x, layers[name][0], 1, [[0, 0], [1, 1], [1, 1], [0, 0]])
            x = tf.nn.relu(x + layers[name][1])
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return x


def bias_behind_a_chain(x: Any, layers: networks.Layers) -> Any:
    for block in vgg16.BLOCKS:
        for name in block:
            kernel, bias = (tf.identity(tf.identity(part)) for part in layers[name])
            x = tf.nn.conv2d(x, kernel, 1, "SAME")
            x = tf.nn.relu(tf.stop_gradient(x + tf.reshape(bias, [1, 1, 1, -1])))
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return x


@pytest.mark.parametrize("way", [padded, explicit, bias_behind_a_chain])
def test_ways_to_write_a_layer(way: Any, tmp_path: Path) -> None:
    graph = build(lambda x: connected(way(x, LAYERS), LAYERS))
    assert caffe(write(graph, tmp_path / "a.pb")).fingerprint == networks.weights().fingerprint


def test_padding_before_conv1_1_does_not_hide_the_preprocessing(tmp_path: Path) -> None:
    graph = build(lambda x: connected(padded(x - MEAN, LAYERS), LAYERS))
    found = formats.read(write(graph, tmp_path / "a.pb"))
    assert found.fingerprint == networks.weights().fingerprint


@pytest.mark.parametrize("fused", [True, False])
def test_batch_normalisation_is_folded(fused: bool, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)

    def make(x: Any) -> None:
        for block in vgg16.BLOCKS:
            for name in block:
                kernel, bias = LAYERS[name]
                x = tf.nn.conv2d(x, kernel, 1, "SAME")
                gamma, variance = generator.uniform(0.5, 2, (2, len(bias))).astype(np.float32)
                mean = generator.normal(0, 1, len(bias)).astype(np.float32)
                if fused:
                    x = v1.nn.fused_batch_norm(
                        x, gamma, bias, mean, variance, 1e-3, is_training=False
                    )[0]
                else:
                    x = tf.nn.batch_normalization(
                        x, *map(tf.constant, (mean, variance, bias, gamma)), 1e-3
                    )
                x = tf.nn.relu(x)
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        connected(x, LAYERS)

    graph = build(make)
    found = caffe(write(graph, tmp_path / "a.pb"))
    expected = run(graph, "fc7:0", {"images:0": FLOATS - MEAN})
    assert relative_error(Extractor(found)(CROPS), expected) < 1e-5


def test_dropout_of_tensorflow_1(tmp_path: Path) -> None:
    def make(x: Any) -> None:
        keep = v1.placeholder_with_default(1.0, [], name="keep")
        x = tf.reshape(convolutions(x, LAYERS), [-1, LAYERS["fc6"][0].shape[0]])
        for name in vgg16.FULLY_CONNECTED:
            kernel, bias = LAYERS[name]
            x = tf.nn.relu(tf.matmul(x, kernel) + bias)
            drawn = tf.floor(keep + tf.random.uniform(tf.shape(x)))
            x = tf.divide(x, keep) * drawn

    assert caffe(write(build(make), tmp_path / "a.pb")).layers == vgg16.LAYERS


def test_operations_that_tensorflows_optimiser_has_fused(tmp_path: Path) -> None:
    graph = build(lambda x: network(x, LAYERS))
    nodes = {node.name: node for node in graph.node}
    users = {name: node for node in graph.node for name in node.input}
    gone = set()
    for node in list(graph.node):
        if node.op == "Conv2D":
            bias = users[node.name]
            relu = users[bias.name]
            assert (bias.op, relu.op) == ("BiasAdd", "Relu")
            gone |= {node.name, bias.name}
            fused = v1.NodeDef(name=relu.name, op="_FusedConv2D", attr=node.attr)
            fused.input.extend([*node.input, bias.input[1]])
            fused.attr["fused_ops"].list.s.extend([b"BiasAdd", b"Relu"])
            fused.attr["num_args"].i = 1
            fused.attr["TArgs"].list.type.append(tf.float32.as_datatype_enum)
            nodes[relu.name].CopyFrom(fused)
    kept = [node for node in graph.node if node.name not in gone]
    assert sum(node.op == "_FusedConv2D" for node in kept) == 13
    fewer = v1.GraphDef(node=kept, versions=graph.versions)
    expected = run(fewer, "fc7:0", {"images:0": FLOATS - MEAN})
    found = caffe(write(fewer, tmp_path / "a.pb"))
    assert found.fingerprint == networks.weights().fingerprint
    assert relative_error(Extractor(found)(CROPS), expected) < 1e-5
