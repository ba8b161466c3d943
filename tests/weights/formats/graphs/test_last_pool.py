"""What a graph has in the place of pool5: VGG16's, another pool, or none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.weights.formats import onnx_models as models
from tests.weights.formats.onnx_models import Model, usual
from vggfeat.weights import formats

LAYERS = networks.layers()
ALONE = networks.weights(networks.without("fc6", "fc7", "fc8")).fingerprint
WHOLE = networks.weights().fingerprint
SAID = "pool5 is VGG16's 2x2 max pooling here, where the graph has"


def read(path: Path) -> Any:
    return formats.read(path, channels="rgb", scale="caffe")


def ending(op: str, **attributes: Any) -> Callable[[Model, str], None]:
    """The usual steps, with another pool behind conv5_3."""

    def step(model: Model, name: str) -> None:
        if name != "conv5_3":
            usual(model, name)
            return
        model.add("Relu")
        model.add(op, **attributes)

    return step


OTHERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "average": ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, "AveragePool over"),
    "3x3": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2]}, r"MaxPool over \(3, 3\)"),
    "one": ("GlobalAveragePool", {}, "an average over all positions"),
    "unknown": ("LpPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, "LpPool"),
}


@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("head", [True, False])
def test_another_last_pool_is_noted(case: str, head: bool, tmp_path: Path) -> None:
    op, attributes, said = OTHERS[case]
    model = Model()
    models.convolutions(model, LAYERS, ending(op, **attributes))
    if head:
        models.connected(model, LAYERS)
    found = read(model.write(tmp_path / "a.onnx"))
    assert found.fingerprint == ALONE
    assert re.search(f"{SAID} {said}", " ".join(found.origin.warnings))


@pytest.mark.parametrize("behind", ["", "AveragePool", "GlobalAveragePool", "Dropout"])
def test_vgg16s_own_pool_needs_no_note(behind: str, tmp_path: Path) -> None:
    model = Model()
    models.convolutions(model, LAYERS)
    if behind:
        model.add(behind, **({"kernel_shape": [7, 7]} if behind == "AveragePool" else {}))
    assert not any(SAID in text for text in read(model.write(tmp_path / "a.onnx")).origin.warnings)


@pytest.mark.parametrize("relu", [True, False])
def test_no_pool_at_all_needs_no_note(relu: bool, tmp_path: Path) -> None:
    model = Model()
    cut = ending("Relu") if relu else lambda model, name: name != "conv5_3" and usual(model, name)
    models.convolutions(model, LAYERS, cut)
    found = read(model.write(tmp_path / "a.onnx"))
    assert found.fingerprint == ALONE
    assert not any(SAID in text for text in found.origin.warnings)


def test_a_side_branch_that_averages_needs_no_note(tmp_path: Path) -> None:
    """As attention over channels does, beside pool5."""
    model = Model()
    models.convolutions(model, LAYERS, ending("GlobalAveragePool"))
    model.outputs = [model.last]
    model.last = model.nodes[-2].output[0]
    models.pool(model)
    models.connected(model, LAYERS)
    found = read(model.write(tmp_path / "a.onnx"))
    assert found.fingerprint == WHOLE
    assert not any(SAID in text for text in found.origin.warnings)


def test_a_pool_of_a_frozen_graph_is_noted(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 224, 224, 3], name="input")
        for name in networks.without("fc6", "fc7", "fc8"):
            kernel, bias = LAYERS[name]
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, np.asarray(kernel), 1, "SAME"), bias))
            if name == "conv5_3":
                tf.nn.avg_pool2d(x, 2, 2, "SAME")
            elif name in models.LAST:
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    path = tmp_path / "a.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    found = read(path)
    assert found.fingerprint == ALONE
    assert any(f"{SAID} AveragePool" in text for text in found.origin.warnings)
