"""Weights files that Keras itself loads."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tests import networks
from tests.exports.networks import (
    CROPS,
    OTHER_MEAN,
    whole,
    with_mean,
    without_fc8,
)
from tests.networks import relative_error
from vggfeat import Extractor, exports, vgg16
from vggfeat.errors import UsageError


def test_a_model_with_its_top_loads_it_and_gives_the_same_fc2(tmp_path: Path) -> None:
    said = exports.export(whole(), tmp_path / "vgg16.h5")
    model = networks.keras_vgg16(classes=10, seed=9)
    model.load_weights(tmp_path / "vgg16.h5")
    found = networks.keras_features(model, "fc2", CROPS)
    assert relative_error(found, Extractor(whole())(CROPS)) < 1e-5
    kernel, bias = model.get_layer("predictions").get_weights()
    np.testing.assert_array_equal(kernel, whole().tensors["fc8/kernel"])
    np.testing.assert_array_equal(bias, whole().tensors["fc8/bias"])
    assert said.endswith("prepare pixels with keras.applications.vgg16.preprocess_input")


def test_the_application_takes_convolutions_as_its_weights(tmp_path: Path) -> None:
    """At full width: `weights=FILE` is the way that the published file goes."""
    widths = {name: vgg16.WIDTHS[name] for name in vgg16.CONVOLUTIONS}
    weights = networks.weights(widths)
    exports.export(weights, tmp_path / "notop.h5")
    model = keras.applications.VGG16(
        weights=str(tmp_path / "notop.h5"), include_top=False, input_shape=(224, 224, 3)
    )
    found = networks.keras_features(model, "block5_pool", CROPS[:1])
    assert relative_error(found, Extractor(weights, "pool5")(CROPS[:1])) < 1e-5


def test_without_fc8_a_model_that_ends_at_fc2_loads_it(tmp_path: Path) -> None:
    exports.export(without_fc8(), tmp_path / "features.h5")
    model = networks.keras_vgg16(classes=10, seed=9)
    part = keras.Model(model.inputs, model.get_layer("fc2").output)
    part.load_weights(tmp_path / "features.h5")
    found = networks.keras_features(model, "fc2", CROPS)
    assert relative_error(found, Extractor(without_fc8())(CROPS)) < 1e-5


def test_without_fc8_a_whole_model_loads_it_by_name(tmp_path: Path) -> None:
    exports.export(without_fc8(), tmp_path / "features.h5")
    model = networks.keras_vgg16(classes=10, seed=9)
    before = model.get_layer("predictions").get_weights()[0]
    model.load_weights(tmp_path / "features.h5", by_name=True)
    found = networks.keras_features(model, "fc2", CROPS)
    assert relative_error(found, Extractor(without_fc8())(CROPS)) < 1e-5
    np.testing.assert_array_equal(model.get_layer("predictions").get_weights()[0], before)


def test_its_layout_is_that_of_the_published_file(tmp_path: Path) -> None:
    exports.export(whole(), tmp_path / "vgg16.h5")
    with h5py.File(tmp_path / "vgg16.h5") as root:
        names = [name.decode() for name in root.attrs["layer_names"]]
        assert names == [
            *(f"block{name[4]}_conv{name[6]}" for name in vgg16.CONVOLUTIONS),
            "fc1",
            "fc2",
            "predictions",
        ]
        assert list(root["fc1"].attrs["weight_names"]) == [b"fc1_W_1:0", b"fc1_b_1:0"]
        assert root["fc1/fc1_W_1:0"].shape == (1568, 256)
        bgr = root["block1_conv1/block1_conv1_W_1:0"][()]
    np.testing.assert_array_equal(bgr[:, :, ::-1], whole().tensors["conv1_1/kernel"])


def test_another_mean_is_said_since_keras_would_subtract_its_own(tmp_path: Path) -> None:
    weights = with_mean(OTHER_MEAN)
    said = exports.export(weights, tmp_path / "vgg16.h5")
    assert "BGR pixels minus the mean B, G, R = 123, 117, 104" in said
    model = networks.keras_vgg16(classes=10, seed=9)
    model.load_weights(tmp_path / "vgg16.h5")
    part = keras.Model(model.inputs, model.get_layer("fc2").output)
    prepared = CROPS[..., ::-1].astype(np.float32) - np.float32([123, 117, 104])
    found = np.asarray(part.predict(prepared, verbose=0))
    assert relative_error(found, Extractor(weights)(CROPS)) < 1e-5


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.h5", "two.h5"):
        exports.export(whole(), tmp_path / name)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


@pytest.mark.parametrize("name", ["vgg16.keras", "vgg16.weights.h5", "vgg16"])
def test_a_name_that_keras_would_read_as_another_layout_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="whose name ends in .h5"):
        exports.export(whole(), tmp_path / name, "keras")
    assert not list(tmp_path.iterdir())
