"""VGG16's convolutions within other networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.weights.formats import onnx_models as models
from tests.weights.formats.given import LAYERS, SAME, caffe, without_top
from tests.weights.formats.onnx_models import LAST, Model, pool, usual
from vggfeat import WeightsError


def test_heads_halfway_and_behind_do_not_matter(tmp_path: Path) -> None:
    """As SSD has them, with a 3x3 convolution behind conv4_3 and dilated ones behind pool5."""
    model = Model()

    def step(model: Model, name: str) -> None:
        model.add("Relu")
        if name == "conv4_3":
            here = model.last
            model.add("Conv", np.ones((8, 32, 3, 3), "f4"), pads=[1, 1, 1, 1])
            model.outputs.append(model.add("Transpose", perm=[0, 2, 3, 1]))
            model.last = here
        if name in LAST:
            pool(model)

    models.convolutions(model, LAYERS, step)
    model.add("Conv", np.ones((64, 32, 3, 3), "f4"), pads=[6] * 4, dilations=[6, 6])
    model.add("Relu")
    model.outputs.append(model.add("Conv", np.ones((64, 64, 1, 1), "f4")))
    assert caffe(model.write(tmp_path / "ssd.onnx")).fingerprint == without_top()


@pytest.mark.parametrize("width", [8, 32])
def test_a_head_beside_conv5_3_is_not_taken_for_it(width: int, tmp_path: Path) -> None:
    model = Model()

    def step(model: Model, name: str) -> None:
        usual(model, name)
        if name == "conv5_2":
            here = model.last
            model.outputs.append(
                model.add("Conv", np.ones((width, 32, 3, 3), "f4"), pads=[1, 1, 1, 1])
            )
            model.last = here

    models.convolutions(model, LAYERS, step)
    models.connected(model, LAYERS)
    assert caffe(model.write(tmp_path / "a.onnx")).fingerprint == SAME


def test_the_network_behind_another_is_found(tmp_path: Path) -> None:
    """As a loss on pictures that another network makes."""
    model = Model()
    model.add("Conv", np.ones((5, 3, 3, 3), "f4"), pads=[1, 1, 1, 1])
    model.add("Relu")
    model.add("Conv", np.ones((3, 5, 3, 3), "f4"), pads=[1, 1, 1, 1])
    model.add("Tanh")
    models.convolutions(model, LAYERS)
    assert caffe(model.write(tmp_path / "a.onnx")).fingerprint == without_top()


def test_one_network_that_is_used_twice_is_one(tmp_path: Path) -> None:
    model = Model()
    models.convolutions(model, LAYERS, prefix="shared_")
    first, model.last = model.last, "data"
    count = len(model.constants)
    model.add("Neg")
    models.convolutions(model, LAYERS, prefix="shared_")
    model.constants = model.constants[:count] + [
        tensor for tensor in model.constants[count:] if not tensor.name.startswith("shared_")
    ]
    model.outputs = [first, model.last]
    assert caffe(model.write(tmp_path / "siamese.onnx")).fingerprint == without_top()


def test_two_networks_are_one_too_many(tmp_path: Path) -> None:
    model = models.vgg(LAYERS)
    model.outputs.append(model.last)
    model.last = "data"
    models.convolutions(model, networks.layers(seed=1))
    with pytest.raises(WeightsError, match="it holds several networks, with the last convolutions"):
        caffe(model.write(tmp_path / "two.onnx"))
