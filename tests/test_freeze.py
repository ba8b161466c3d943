"""The frozen graph, run by plain TensorFlow as anyone would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.exports.headed import CASES, CLASSES, FC7, Case, headed
from tests.networks import relative_error
from vggfeat import Extractor, VggfeatError, WeightsError
from vggfeat.errors import UsageError
from vggfeat.freeze import freeze

v1 = tf.compat.v1
CROPS = networks.pictures(3)


def imported(path: Path) -> Any:
    graph_def = v1.GraphDef()
    graph_def.ParseFromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    return graph


def run(path: Path, output: str | list[str], crops: Any) -> Any:
    asked = f"{output}:0" if isinstance(output, str) else [f"{name}:0" for name in output]
    with v1.Session(graph=imported(path)) as session:
        return session.run(asked, {"images:0": crops})


ASKED = [
    *("conv1_2:avg", "conv3_3:linear", "conv5_3", "conv5_3:linear:max", "pool4:flat", "pool5"),
    *("pool5:avg", "fc6:linear", "fc6", "fc7:linear", "fc7", "fc8", "prob"),
]


def test_it_gives_the_vectors_that_extract_gives(tmp_path: Path) -> None:
    outputs = freeze(networks.weights(), tmp_path / "vgg16.pb", [*ASKED, "fc7"])
    assert outputs == [layer.replace(":", "_") for layer in ASKED]
    expected = Extractor(networks.weights(), ASKED, engine="ncnn")(CROPS)
    found = run(tmp_path / "vgg16.pb", outputs, CROPS)
    errors = {
        layer: relative_error(given, expected[layer])
        for layer, given in zip(ASKED, found, strict=True)
    }
    assert max(errors.values()) < 1e-5, errors


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
    assert freeze(networks.weights(), tmp_path / "vgg16.pb", ["pool3", "fc6:linear"]) == [
        "pool3",
        "fc6_linear",
    ]
    graph = imported(tmp_path / "vgg16.pb")
    assert not any(name.startswith(("fc7", "fc8")) for name in names_in(graph))
    assert graph.get_tensor_by_name("fc6_linear:0").consumers() == []
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("Relu") == 13


def names_in(graph: Any) -> list[str]:
    return [operation.name for operation in graph.get_operations()]


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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_with_a_head_it_gives_the_probabilities_of_head_predict(tmp_path: Path, case: Case) -> None:
    head, crops, expected = (
        getattr(headed(case), name) for name in ("head", "crops", "probabilities")
    )
    names = freeze(networks.weights(), tmp_path / "flowers.pb", head=head)
    assert names == ["logits", "probabilities"]
    logits, found, classes = run(tmp_path / "flowers.pb", [*names, "classes"], crops)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), found, 1e-5)
    assert tuple(name.decode("utf-8", "surrogateescape") for name in classes) == CLASSES
    shape = imported(tmp_path / "flowers.pb").get_tensor_by_name("probabilities:0").shape
    assert shape.as_list() == [None, 4]
    assert run(tmp_path / "flowers.pb", "probabilities", crops[:1]).shape == (1, 4)
    named = (tmp_path / "flowers.classes.txt").read_text("utf-8", "surrogateescape")
    assert named.split("\n") == ["rose", "tulip", "été \udcff", "two lines", ""]


def test_layers_can_be_asked_for_beside_a_head(tmp_path: Path) -> None:
    head = headed(FC7).head
    names = freeze(networks.weights(), tmp_path / "flowers.pb", ["fc7", "pool5:avg"], head)
    assert names == ["fc7", "pool5_avg", "logits", "probabilities"]
    assert [name for name in names_in(imported(tmp_path / "flowers.pb")) if name in names] == [
        "pool5_avg",
        "fc7",
        "logits",
        "probabilities",
    ]


def test_a_head_of_other_weights_is_refused(tmp_path: Path) -> None:
    other = networks.weights(seed=3)
    with pytest.raises(
        VggfeatError, match="the head was fitted on others: weights made for a test "
    ):
        freeze(other, tmp_path / "a.pb", head=headed(FC7).head)
    assert not list(tmp_path.iterdir())


def test_a_layer_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no layer 'fc9'"):
        freeze(networks.weights(), tmp_path / "a.pb", ["fc9"])
