"""SavedModels, written by Keras and TensorFlow, against what these compute themselves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats
from vggfeat.weights.formats.tensorflow import saved_model

v1 = tf.compat.v1
CROPS = networks.pictures()


@pytest.fixture(scope="module")
def model() -> Any:
    return networks.keras_vgg16(classes=7)


WRITERS: dict[str, Callable[[Any, str], None]] = {
    "tf.saved_model.save": tf.saved_model.save,
    "model.export": lambda model, path: model.export(path, verbose=False),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("file", ["", "saved_model.pb"])
def test_keras_vgg16_gives_keras_fc2_as_fc7(
    model: Any, tmp_path: Path, writer: str, file: str
) -> None:
    WRITERS[writer](model, str(tmp_path / "saved"))
    weights = formats.read(tmp_path / "saved" / file)
    assert weights.source.startswith("TensorFlow SavedModel ")
    assert weights.origin.decided == "declared by the names of keras.applications"
    assert weights.width_of["fc8"] == 7
    expected = networks.keras_features(model, "fc2", CROPS)
    assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


@pytest.mark.parametrize("writer", WRITERS)
def test_keras_vgg16_below_another_head_gives_pool5(tmp_path: Path, writer: str) -> None:
    base = networks.keras_vgg16(include_top=False, input_shape=(224, 224, 3))
    whole = keras.Sequential([base, keras.layers.Flatten(), keras.layers.Dense(5)])
    WRITERS[writer](whole, str(tmp_path / "saved"))
    weights = formats.read(tmp_path / "saved")
    assert weights.layers == vgg16.CONVOLUTIONS
    expected = networks.keras_features(base, "block5_pool", CROPS)
    assert relative_error(Extractor(weights, "pool5")(CROPS), expected) < 1e-5


def of_slim(folder: Path) -> NDArray[np.float32]:
    """Slim's graph as TensorFlow 1 saves it, and its fc7 for CROPS."""
    with tf.Graph().as_default(), networks.narrow_slim(10) as vgg, v1.Session() as session:
        images = v1.placeholder(tf.float32, [None, 224, 224, 3])
        with slim.arg_scope(vgg.vgg_arg_scope()):
            logits, points = vgg.vgg_16(images, 10, is_training=False)
        session.run(v1.global_variables_initializer())
        generator = np.random.default_rng(2)
        for variable in v1.global_variables():
            if variable.name.endswith("biases:0"):
                variable.load(generator.normal(0, 5, variable.shape), session)
        v1.saved_model.simple_save(session, str(folder), {"images": images}, {"logits": logits})
        fed = CROPS.astype(np.float32) - np.float32(networks.MEAN_RGB)
        fc7: NDArray[np.float32] = session.run(points["vgg_16/fc7"], {images: fed})
    return fc7.reshape(len(CROPS), -1)


def test_slims_graph_saved_by_tensorflow_1_gives_slims_fc7(tmp_path: Path) -> None:
    expected = of_slim(tmp_path / "saved")
    weights = formats.read(tmp_path / "saved")
    assert weights.origin.decided == "declared by TF-Slim's names"
    assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


def test_a_model_without_variables_is_refused_with_the_reason(tmp_path: Path) -> None:
    module = tf.Module()
    module.call = tf.function(
        lambda x: x + tf.constant([1.0]), input_signature=[tf.TensorSpec([1], tf.float32)]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    shutil.rmtree(tmp_path / "saved" / "variables")
    for path in (tmp_path / "saved", tmp_path / "saved" / "saved_model.pb"):
        with pytest.raises(WeightsError, match="a SavedModel without variables beside it"):
            formats.read(path)


def test_another_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    other.export(tmp_path / "saved", verbose=False)
    with pytest.raises(WeightsError, match="saved: no VGG16: it has 0 3x3 convolutions"):
        formats.read(tmp_path / "saved")


def test_a_damaged_one_is_one_sentence(model: Any, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    tf.saved_model.save(model, str(folder))
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"saved: damaged: a tensor .* beyond the end$"):
        formats.read(folder)


def test_the_graph_is_not_even_read(model: Any, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    tf.saved_model.save(model, str(folder))
    expected = formats.read(folder).fingerprint
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:64] + b"\xff" * 64)
    assert formats.read(folder).fingerprint == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\x01\x12",
        b"\x08\x01\x12\x07pytorch",  # ONNX of its first version begins so
        b"\x08\x01\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0a",
        b"\x0a\x10\x0a\x05image",  # a GraphDef
    ],
)
def test_other_files_are_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    assert not saved_model.recognise(tmp_path)
    assert not saved_model.recognise(tmp_path / "saved_model.pb")


def test_pipes_loops_and_nothing_are_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "saved_model.pb")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("folder", "folder/saved_model.pb", "loop", "nothing"):
        assert not saved_model.recognise(tmp_path / name)
