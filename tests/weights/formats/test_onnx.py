"""ONNX models, from the exporters in use where they can be run, against ONNX Runtime."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import networks
from tests.networks import Layers, relative_error
from tests.weights.formats import onnx_models as models
from tests.weights.formats.given import CROPS, LAYERS, caffe, minus_mean, nchw
from tests.weights.formats.onnx_models import Model
from tests.weights.formats.tables import TINY_LAYERS
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats
from vggfeat.weights.formats import onnx as form

onnx = pytest.importorskip("onnx")


def test_a_model_as_the_model_zoos(tmp_path: Path) -> None:
    model = models.vgg(LAYERS)
    rename(model, lambda name: "vgg0_conv0_weight" if name == "c0" else name)
    path = model.write(tmp_path / "vgg16-7.onnx", opset=7)
    weights = formats.read(path)
    assert weights.origin.decided == "declared by the names of the Model zoo's file"
    expected = models.run(path, "fc7", torch_models_pixels(CROPS))
    assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


def torch_models_pixels(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean, std = (np.array(v, np.float32)[:, None, None] for v in
                 ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # fmt: skip
    return ((nchw(crops) / np.float32(255) - mean) / std).astype(np.float32)


def tf2onnx_of_slim(path: Path) -> Path:
    """Slim's graph, frozen, in TF-Slim's own words, turned into ONNX by tf2onnx."""
    import tensorflow as tf

    convert = pytest.importorskip("tf2onnx").convert
    from tests.weights.formats.frozen_graphs import slim

    graph = slim(LAYERS)
    with tf.Graph().as_default():
        convert.from_graph_def(
            graph, input_names=["images:0"], output_names=["vgg_16/fc7/Relu:0"], opset=13,
            output_path=str(path),
        )  # fmt: skip
    return path


def test_tf2onnx_of_a_slim_graph(tmp_path: Path) -> None:
    path = tf2onnx_of_slim(tmp_path / "slim.onnx")
    weights = formats.read(path)
    assert weights.origin.decided == "declared by TF-Slim's names"
    expected = networks.weights(networks.without("fc8"))
    assert weights.fingerprint == expected.fingerprint


def test_tf2onnx_of_a_keras_model(tmp_path: Path) -> None:
    convert = pytest.importorskip("tf2onnx").convert
    from tests.weights.formats.frozen_graphs import keras_graph

    model = networks.keras_vgg16(classes=7)
    graph, names = keras_graph(model)
    path = tmp_path / "keras.onnx"
    convert.from_graph_def(graph, input_names=names[:1], output_names=names[1:], opset=13,
                           output_path=str(path))  # fmt: skip
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert "Transpose" in kinds
    assert "MatMul" in kinds
    weights = formats.read(path)
    assert weights.origin.decided == "declared by the names of keras.applications"
    expected = networks.keras_features(model, "fc2", CROPS)
    assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


def test_a_model_that_onnx_runtime_has_optimised(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    model = models.vgg(LAYERS).proto().SerializeToString()
    runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert kinds >= {"FusedConv", "FusedGemm"}
    found = caffe(tmp_path / "optimised.onnx")
    assert found.fingerprint == networks.weights().fingerprint


def test_a_model_cut_short_or_with_bytes_changed_is_one_sentence(tmp_path: Path) -> None:
    data = models.vgg(TINY_LAYERS).proto().SerializeToString()
    generator = np.random.default_rng(0)
    path = tmp_path / "a.onnx"
    refused = 0
    for number in range(300):
        if number < 50:
            broken = data[: int(len(data) * number / 50)]
        else:
            edited = bytearray(data)
            for at in generator.integers(0, len(data), 3):
                edited[at] = generator.integers(256)
            broken = bytes(edited)
        path.write_bytes(broken)
        with contextlib.suppress(WeightsError):
            caffe(path)
            continue
        refused += 1
    assert refused > 100


@pytest.mark.parametrize("norm", ["a folder", "nothing", "a pipe", "an empty file", "text", "zip"])
def test_what_is_no_model_is_not_recognised(norm: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if norm == "a folder":
        path.mkdir()
    elif norm == "a pipe":
        os.mkfifo(path)
    elif norm != "nothing":
        path.write_bytes({"an empty file": b"", "text": b"ir_version: 8\n", "zip": b"PK\3\4"}[norm])
    assert not form.recognise(path)


def test_other_protocol_buffers_are_not_taken_for_a_model(tmp_path: Path) -> None:
    from tests.weights.formats.frozen_graphs import slim

    graph = tmp_path / "graph.pb"
    graph.write_bytes(slim(LAYERS).SerializeToString())
    assert not form.recognise(graph)
    model = models.vgg(LAYERS).write(tmp_path / "model.bin")
    assert form.recognise(model)


def rename(model: Model, new: Callable[[str], str]) -> None:
    for tensor in model.constants:
        tensor.name = new(tensor.name)
    for node in model.nodes:
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]


def test_without_any_name_that_is_known_the_user_is_asked(tmp_path: Path) -> None:
    path = models.vgg(LAYERS).write(tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="say it with --channels rgb|bgr --scale"):
        formats.read(path)
    weights = caffe(path)
    expected = models.run(path, "fc7", minus_mean(CROPS))
    assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


def test_layers_that_are_missing_are_not_needed(tmp_path: Path) -> None:
    layers: Layers = networks.layers(networks.without("fc6", "fc7", "fc8"))
    model = Model()
    models.convolutions(model, layers)
    found = caffe(model.write(tmp_path / "a.onnx"))
    assert found.layers == vgg16.CONVOLUTIONS
