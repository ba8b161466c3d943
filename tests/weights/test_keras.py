"""Keras files of every generation, written by Keras where it still can, against Keras' own fc2."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats

CROPS = networks.pictures()
BLOCK_NAMES = [f"block{name[4]}_conv{name[6]}" for name in vgg16.CONVOLUTIONS]


@pytest.fixture(scope="module")
def model() -> Any:
    return networks.keras_vgg16(classes=7)


@pytest.fixture(scope="module")
def fc2(model: Any) -> NDArray[np.float32]:
    return networks.keras_features(model, "fc2", CROPS)


def published(model: Any, path: Path) -> None:
    """As Keras 1 wrote the published file: `block1_conv1/block1_conv1_W_1:0`, no model around."""
    with h5py.File(path, "w") as root:
        root.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = root.create_group(layer.name)
            suffixes = ("_W_1:0", "_b_1:0")[: len(layer.weights)]
            names = [f"{layer.name}{suffix}" for suffix in suffixes]
            group.attrs["weight_names"] = np.array(names, "S")
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value


def tf_keras(model: Any, path: Path) -> None:
    """As Keras 2 wrote weights: `block1_conv1/block1_conv1/kernel:0`, no model around."""
    with h5py.File(path, "w") as root:
        root.attrs["layer_names"] = [layer.name for layer in model.layers]
        for layer in model.layers:
            group = root.create_group(layer.name)
            names = [f"{layer.name}/{part}:0" for part in ("kernel", "bias")[: len(layer.weights)]]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value


def legacy_weights(model: Any, path: Path) -> None:
    with h5py.File(path, "w") as root:
        legacy_h5_format.save_weights_to_hdf5_group(root, model)


WRITERS = {
    "published.h5": published,
    "tf_keras.h5": tf_keras,
    "legacy.h5": legacy_weights,
    "model.h5": lambda model, path: model.save(path),
    "model.weights.h5": lambda model, path: model.save_weights(path),
    "model.keras": lambda model, path: model.save(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_keras_fc2_as_fc7(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path, name: str
) -> None:
    WRITERS[name](model, tmp_path / name)
    weights = formats.read(tmp_path / name)
    assert weights.width_of["fc8"] == 7
    assert relative_error(Extractor(weights)(CROPS), fc2) < 1e-5


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_without_the_top_gives_pool5(model: Any, tmp_path: Path, name: str) -> None:
    notop = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3), seed=3)
    WRITERS[name](notop, tmp_path / name)
    weights = formats.read(tmp_path / name)
    assert weights.layers == vgg16.CONVOLUTIONS
    expected = networks.keras_features(notop, "block5_pool", CROPS)
    assert relative_error(Extractor(weights, "pool5")(CROPS), expected) < 1e-5
    with pytest.raises(WeightsError, match="fc7 cannot be computed.*no fc6 and no fc7.*notop"):
        Extractor(weights)


@pytest.mark.parametrize("suffix", ["h5", "weights.h5", "keras"])
@pytest.mark.parametrize("square", [False, True])
def test_another_head_on_a_nested_base_is_not_taken_for_fc6(
    tmp_path: Path, suffix: str, square: bool
) -> None:
    base = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3))
    units = (32, 32) if square else (8, 5)
    head = [keras.layers.Dense(width) for width in units]
    whole = keras.Sequential([base, keras.layers.Flatten(), *head])
    path = tmp_path / f"fine_tuned.{suffix}"
    whole.save_weights(path) if suffix == "weights.h5" else whole.save(path)
    assert formats.read(path).layers == vgg16.CONVOLUTIONS


def test_a_network_written_by_hand_in_keras_is_told_by_its_order(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path
) -> None:
    """Layers that have Keras' default names, as in every tutorial."""
    stack: list[Any] = [keras.Input((224, 224, 3))]
    for block in vgg16.BLOCKS:
        for name in block:
            stack.append(
                keras.layers.Conv2D(networks.NARROW[name], 3, padding="same", activation="relu")
            )
        stack.append(keras.layers.MaxPooling2D())
    stack.append(keras.layers.Flatten())
    stack += [keras.layers.Dense(256, activation="relu") for _ in range(2)]
    stack.append(keras.layers.Dense(7, activation="softmax"))
    mine = keras.Sequential(stack)
    mine.set_weights(model.get_weights())
    for name in ("mine.h5", "mine.weights.h5", "mine.keras"):
        WRITERS[f"model{name.removeprefix('mine')}"](mine, tmp_path / name)
        assert relative_error(Extractor(tmp_path / name)(CROPS), fc2) < 1e-5


def test_a_vgg19_is_named_as_such(tmp_path: Path) -> None:
    keras.applications.VGG19(weights=None, include_top=False).save(tmp_path / "vgg19.keras")
    with pytest.raises(WeightsError, match=r"16 3x3 convolutions, expected 13.*VGG-19"):
        formats.read(tmp_path / "vgg19.keras")


def test_another_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(WeightsError, match=r"other\.keras: no VGG16: it has 0 3x3 convolutions"):
        formats.read(tmp_path / "other.keras")


def test_a_layer_of_another_shape_is_named_with_both_shapes(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.h5"
    published(model, path)
    with h5py.File(path, "r+") as root:
        del root["block3_conv2/block3_conv2_W_1:0"]
        root["block3_conv2/block3_conv2_W_1:0"] = np.zeros((3, 3, 9, 16), np.float32)
    with pytest.raises(
        WeightsError, match=r"conv3_2 has shape \[3,3,9,16\], expected \[3,3,16,16\]"
    ):
        formats.read(path)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_float_types_become_float32(model: Any, tmp_path: Path, dtype: str) -> None:
    published(model, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as old, h5py.File(tmp_path / "b.h5", "w") as new:
        new.attrs.update(old.attrs)
        for group in old:
            new.create_group(group).attrs.update(old[group].attrs)
            for name in old[group]:
                new[group][name] = old[group][name][()].astype(dtype)
    kernel = formats.read(tmp_path / "b.h5").tensors["fc6/kernel"]
    assert kernel.dtype == np.float32
    expected = model.get_layer("fc1").get_weights()[0].astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(kernel, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(model: Any, tmp_path: Path, value: float) -> None:
    published(model, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as root:
        root["fc2/fc2_W_1:0"][3, 4] = value
    with pytest.raises(WeightsError, match="damaged: fc7 holds numbers that are NaN or infinite"):
        formats.read(tmp_path / "a.h5")


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_cut_short_is_one_sentence(model: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](model, path)
    data = path.read_bytes()
    for part in (0.1, 0.5, 0.99):
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(WeightsError, match=str(path)):
            formats.read(path)


def test_a_zip_that_is_no_keras_file_is_not_known(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(WeightsError, match="not a form of weights that vggfeat knows"):
        formats.read(tmp_path / "some.zip")


REAL = os.environ.get("VGGFEAT_REAL_NOTOP")


@pytest.mark.skipif(not REAL, reason="VGGFEAT_REAL_NOTOP does not name the published notop file")
def test_the_real_convolutions_give_keras_pool5_on_photographs(samples: list[Path]) -> None:
    from vggfeat.preprocess import preprocess

    assert REAL is not None
    crops = np.stack([preprocess(path.read_bytes()) for path in samples])
    model = keras.applications.VGG16(include_top=False, weights=REAL, input_shape=(224, 224, 3))
    expected = networks.keras_features(model, "block5_pool", crops)
    found = Extractor(REAL, "pool5")(samples)
    assert relative_error(found, expected) < 1e-5
