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
from vggfeat.inputs import of_scale
from vggfeat.weights import formats
from vggfeat.weights.formats import note

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


def by_hand(
    weights: list[NDArray[Any]], *behind: Any, before: Any = (), activation: str | None = "relu"
) -> Any:
    """VGG16 with Keras' default names, as in every tutorial.

    Args:
        weights: of all layers, those of what stands behind the convolutions too; none for random.
        behind: makers of layers behind each convolution.
        before: layers before the first.
        activation: of the convolutions.
    """
    stack: list[Any] = [keras.Input((224, 224, 3)), *before]
    for block in vgg16.BLOCKS:
        for name in block:
            width = networks.NARROW[name]
            stack.append(keras.layers.Conv2D(width, 3, padding="same", activation=activation))
            stack += [make() for make in behind]
        stack.append(keras.layers.MaxPooling2D())
    stack.append(keras.layers.Flatten())
    stack += [keras.layers.Dense(256, activation="relu") for _ in range(2)]
    stack.append(keras.layers.Dense(7, activation="softmax"))
    made = keras.Sequential(stack)
    if weights:
        made.set_weights(weights)
    return made


@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "model.keras"])
def test_a_network_written_by_hand_in_keras_is_told_by_its_order(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path, name: str
) -> None:
    WRITERS[name](by_hand(model.get_weights()), tmp_path / name)
    with pytest.raises(WeightsError, match="neither its form nor its numbers.*say it with"):
        formats.read(tmp_path / name)
    weights = formats.read(tmp_path / name, channels="bgr", scale="caffe")
    assert relative_error(Extractor(weights)(CROPS), fc2) < 1e-5


def test_a_rescaling_layer_in_the_model_says_what_it_takes(tmp_path: Path) -> None:
    mine = by_hand([], before=[keras.layers.Rescaling(1 / 127.5, offset=-1)])
    mine.save(tmp_path / "mine.keras")
    mine.save(tmp_path / "mine.h5")
    fc7 = keras.Model(mine.inputs, mine.layers[-2].output)
    expected = np.asarray(fc7(CROPS.astype(np.float32), training=False))
    for name in ("mine.keras", "mine.h5"):
        weights = formats.read(tmp_path / name)
        assert (weights.origin.channels, weights.origin.scale) == ("rgb", "tf")
        assert "layers that rescale" in weights.origin.decided
        assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


def test_a_normalization_layer_before_a_nested_base_says_what_it_takes(tmp_path: Path) -> None:
    images = keras.Input((224, 224, 3))
    means, variances = (123.0, 117.0, 104.0), (58.0**2, 57.0**2, 56.0**2)
    first = keras.layers.Normalization(mean=means, variance=variances)
    base = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3))
    whole = keras.Model(images, keras.layers.Flatten()(base(first(images))))
    whole.save(tmp_path / "whole.keras")
    weights = formats.read(tmp_path / "whole.keras")
    expected = np.asarray(whole(CROPS.astype(np.float32), training=False))
    found = Extractor(weights, "pool5")(CROPS)
    assert relative_error(found.reshape(len(CROPS), -1), expected) < 1e-5


def test_the_note_of_an_export_goes_before_all_names(model: Any, tmp_path: Path) -> None:
    published(model, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as root:
        root.attrs["vggfeat"] = note.to_text(of_scale("rgb", "torch"))
    origin = formats.read(tmp_path / "a.h5").origin
    assert (origin.channels, origin.scale) == ("rgb", "torch")


def normalised(order: tuple[str, ...]) -> Any:
    """A network whose convolutions are followed by what `order` names, all numbers random."""
    makers = {
        "norm": lambda: keras.layers.BatchNormalization(epsilon=0.01),
        "bare": lambda: keras.layers.BatchNormalization(scale=False, epsilon=0.01),
        "relu": lambda: keras.layers.Activation("relu"),
    }
    made = by_hand([], *(makers[name] for name in order), activation=None)
    generator = np.random.default_rng(5)
    for layer in made.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return made


@pytest.mark.parametrize("norm", ["norm", "bare"])
@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_batch_normalisation_before_the_relu_is_folded(
    tmp_path: Path, name: str, norm: str
) -> None:
    mine = normalised((norm, "relu"))
    WRITERS[name](mine, tmp_path / name)
    weights = formats.read(tmp_path / name, channels="bgr", scale="caffe")
    fc7 = mine.layers[-2].name
    assert (
        relative_error(Extractor(weights)(CROPS), networks.keras_features(mine, fc7, CROPS)) < 1e-5
    )


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_batch_normalisation_behind_the_relu_is_refused(tmp_path: Path, name: str) -> None:
    WRITERS[name](normalised(("relu", "norm")), tmp_path / name)
    with pytest.raises(WeightsError, match=r"BatchNormalization\) stands before conv1_2"):
        formats.read(tmp_path / name, channels="bgr", scale="caffe")


@pytest.mark.parametrize("name", ["model.weights.h5", "legacy.h5"])
def test_batch_normalisation_in_weights_alone_is_refused(tmp_path: Path, name: str) -> None:
    WRITERS[name](normalised(("norm", "relu")), tmp_path / name)
    with pytest.raises(WeightsError, match="weights alone do not tell.*give the whole model"):
        formats.read(tmp_path / name, channels="bgr", scale="caffe")


def test_a_normalised_head_on_a_plain_base_is_left_out(tmp_path: Path) -> None:
    base = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3))
    dense = [keras.layers.Dense(256), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    top = [keras.layers.Dense(256, activation="relu"), keras.layers.Dense(3)]
    norm = keras.layers.BatchNormalization()
    whole = keras.Sequential([base, keras.layers.Flatten(), norm, *dense, *top])
    whole.save(tmp_path / "whole.keras")
    assert formats.read(tmp_path / "whole.keras").layers == vgg16.CONVOLUTIONS


def repacked(path: Path, compression: int) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_a_keras_archive_may_be_packed_again(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path
) -> None:
    path = tmp_path / "model.keras"
    model.save(path)
    repacked(path, zipfile.ZIP_DEFLATED)
    assert relative_error(Extractor(path)(CROPS), fc2) < 1e-5
    repacked(path, zipfile.ZIP_LZMA)
    with pytest.raises(WeightsError, match="compressed in a rare way"):
        formats.read(path)


def test_a_keras_archive_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(1 << 26))
    with pytest.raises(WeightsError, match="would unpack to 67,108,872 bytes"):
        formats.read(tmp_path / "a.keras")


@pytest.mark.parametrize(
    "config", ["{", "[" * 100_000, '{"class_name": "Sequential", "config": [1]}', '{"config": {}}']
)
def test_a_configuration_that_says_nothing_is_passed_over(
    model: Any, tmp_path: Path, config: str
) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
        archive.writestr("config.json", config)
    assert formats.read(tmp_path / "a.keras").layers == vgg16.LAYERS


def test_kernels_of_theano_are_named_as_such(model: Any, tmp_path: Path) -> None:
    published(model, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as root:
        for layer in BLOCK_NAMES:
            kernel = root[f"{layer}/{layer}_W_1:0"][()]
            del root[f"{layer}/{layer}_W_1:0"]
            root[f"{layer}/{layer}_W_1:0"] = kernel.transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]
    with pytest.raises(WeightsError, match="Keras 1 on Theano.*tf_dim_ordering"):
        formats.read(tmp_path / "a.h5")


def test_numbers_that_are_quantised_are_refused(model: Any, tmp_path: Path) -> None:
    published(model, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as root:
        kernel = root["fc1/fc1_W_1:0"][()]
        del root["fc1/fc1_W_1:0"]
        root["fc1/fc1_W_1:0"] = (kernel * 100).astype(np.int8)
    with pytest.raises(WeightsError, match="fc6 holds int8, expected float32"):
        formats.read(tmp_path / "a.h5")


def test_a_vgg19_is_named_as_such(tmp_path: Path) -> None:
    keras.applications.VGG19(weights=None, include_top=False).save(tmp_path / "vgg19.keras")
    with pytest.raises(
        WeightsError, match=r"this is a VGG-19 \(it has conv3_4, conv4_4, conv5_4\)"
    ):
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
