"""The frozen graph, run by plain TensorFlow as anyone would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, VggfeatError, WeightsError
from vggfeat.freeze import freeze

v1 = tf.compat.v1
CROPS = networks.pictures(3)


def imported(path: Path) -> Any:
    graph_def = v1.GraphDef()
    graph_def.ParseFromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    return graph


def run(path: Path, output: str, crops: Any) -> Any:
    with v1.Session(graph=imported(path)) as session:
        return session.run(f"{output}:0", {"images:0": crops})


@pytest.mark.parametrize("layer", ["fc6", "fc7"])
def test_it_gives_the_vectors_that_extract_gives(tmp_path: Path, layer: str) -> None:
    freeze(networks.weights(), tmp_path / "vgg16.pb")
    expected = Extractor(networks.weights(), layer)(CROPS)
    assert relative_error(run(tmp_path / "vgg16.pb", layer, CROPS), expected) < 1e-5


def test_a_batch_of_one_keeps_its_axis(tmp_path: Path) -> None:
    freeze(networks.weights(), tmp_path / "vgg16.pb")
    assert run(tmp_path / "vgg16.pb", "fc7", CROPS[:1]).shape == (1, 256)


def test_input_outputs_and_kernels_have_the_documented_form(tmp_path: Path) -> None:
    assert freeze(networks.weights(), tmp_path / "vgg16.pb") == ["fc6", "fc7"]
    graph = imported(tmp_path / "vgg16.pb")
    images = graph.get_tensor_by_name("images:0")
    assert images.dtype == tf.uint8
    assert images.shape.as_list() == [None, 224, 224, 3]
    for name in ("fc6", "fc7"):
        assert graph.get_tensor_by_name(f"{name}:0").shape.as_list() == [None, 256]
        assert list(graph.get_operation_by_name(name).get_attr("squeeze_dims")) == [1, 2]
    assert graph.get_tensor_by_name("fc6/kernel:0").shape.as_list() == [7, 7, 32, 256]
    assert graph.get_tensor_by_name("fc7/kernel:0").shape.as_list() == [1, 1, 256, 256]


def test_nothing_above_the_layer_is_in_the_graph(tmp_path: Path) -> None:
    assert freeze(networks.weights(), tmp_path / "vgg16.pb", "fc6") == ["fc6"]
    names = {operation.name for operation in imported(tmp_path / "vgg16.pb").get_operations()}
    assert not any(name.startswith(("fc7", "fc8")) for name in names)


def test_no_variable_is_left_in_it(tmp_path: Path) -> None:
    freeze(networks.weights(), tmp_path / "vgg16.pb")
    kinds = {operation.type for operation in imported(tmp_path / "vgg16.pb").get_operations()}
    assert "Const" in kinds
    assert not any("Variable" in kind for kind in kinds)


def test_weights_without_the_layer_and_a_bad_place_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="hold no fc7"):
        freeze(networks.weights(networks.without("fc7", "fc8")), tmp_path / "a.pb")
    with pytest.raises(VggfeatError, match="No such file or directory"):
        freeze(networks.weights(), tmp_path / "none" / "a.pb")
    assert not list(tmp_path.iterdir())


def test_the_file_takes_the_place_of_an_older_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "vgg16.pb"
    path.write_bytes(b"older")
    freeze(networks.weights(), path)
    assert np.isfinite(run(path, "fc7", CROPS)).all()
    assert list(tmp_path.iterdir()) == [path]
