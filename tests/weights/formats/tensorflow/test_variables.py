"""Checkpoints of objects, as TensorFlow 2 and Keras write them, and what normalises batches."""

from __future__ import annotations

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
from tests.weights.formats import tables
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats

v1 = tf.compat.v1
CROPS = networks.pictures()


@pytest.fixture(scope="module")
def model() -> Any:
    return networks.keras_vgg16(classes=7)


@pytest.fixture(scope="module")
def fc2(model: Any) -> NDArray[np.float32]:
    return networks.keras_features(model, "fc2", CROPS)


def trained(model: Any) -> Any:
    """The model after an optimizer has been there, its weights as they were."""
    kept = model.get_weights()
    model.compile("adam", "mse", run_eagerly=True)  # a single step is not worth compiling
    model.train_on_batch(CROPS[:1].astype(np.float32), np.zeros((1, 7), np.float32))
    model.set_weights(kept)
    return model


WRITERS: dict[str, Callable[[Any], Any]] = {
    "model": tf.train.Checkpoint,
    "model below a name": lambda model: tf.train.Checkpoint(net=model),
    "model and optimizer": lambda model: tf.train.Checkpoint(
        net=trained(model), opt=model.optimizer
    ),
    "compiled model": lambda model: tf.train.Checkpoint(trained(model)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_keras_vgg16_is_found_by_its_names(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path, kind: str
) -> None:
    WRITERS[kind](model).write(tmp_path / "a")
    weights = formats.read(tmp_path / "a")
    assert weights.origin.decided == "declared by the names of keras.applications"
    assert weights.width_of["fc8"] == 7
    assert relative_error(Extractor(weights)(CROPS), fc2) < 1e-5


def test_weights_alone_as_keras_2_wrote_them(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path
) -> None:
    """Keys `layer_with_weights-0/kernel/...`, an optimizer's slots, and no graph of objects."""
    arrays = {}
    for number, layer in enumerate(layer for layer in model.layers if layer.weights):
        for part, value in zip(("kernel", "bias"), layer.get_weights(), strict=True):
            key = f"layer_with_weights-{number}/{part}"
            arrays[f"{key}/.ATTRIBUTES/VARIABLE_VALUE"] = value
            arrays[f"{key}/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE"] = value * 0
    tables.write_bundle(tmp_path / "a", arrays)
    with pytest.raises(WeightsError, match="neither its form nor its numbers tell"):
        formats.read(tmp_path / "a")
    weights = formats.read(tmp_path / "a", channels="bgr", scale="caffe")
    assert relative_error(Extractor(weights)(CROPS), fc2) < 1e-5


def test_slots_of_keras_2_are_not_taken_for_a_second_network(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path
) -> None:
    """tf_keras' optimizers call them `Adam/m/block1_conv1/kernel`, in a list `_variables`."""
    optimizer = tf.Module()
    optimizer._variables = [
        tf.Variable(variable.value * 0, name=f"Adam/m/{variable.path}")
        for variable in model.weights
    ]
    tf.train.Checkpoint(model=model, optimizer=optimizer).write(tmp_path / "a")
    assert relative_error(Extractor(tmp_path / "a")(CROPS), fc2) < 1e-5


@pytest.mark.parametrize("named", [True, False])
def test_layers_of_a_module_are_found_whatever_they_are_called(
    model: Any, fc2: NDArray[np.float32], tmp_path: Path, named: bool
) -> None:
    """Names of variables that are all the same say nothing: then the ways to them do."""
    net = tf.Module()
    net.layers = []
    for number, layer in enumerate(layer for layer in model.layers if layer.weights):
        made = tf.Module()
        w, b = layer.get_weights()
        made.w = tf.Variable(w, name=f"layer{number}/w" if named else "w")
        made.b = tf.Variable(b, name=f"layer{number}/b" if named else "b")
        net.layers.append(made)
    tf.train.Checkpoint(net).write(tmp_path / "a")
    weights = formats.read(tmp_path / "a", channels="bgr", scale="caffe")
    assert relative_error(Extractor(weights)(CROPS), fc2) < 1e-5


def test_two_models_in_a_checkpoint_are_not_guessed_between(model: Any, tmp_path: Path) -> None:
    other = networks.keras_vgg16(classes=7, seed=5)
    tf.train.Checkpoint(student=model, teacher=other).write(tmp_path / "a")
    with pytest.raises(WeightsError, match=r"several networks, below student.* and teacher"):
        formats.read(tmp_path / "a")


def test_another_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    tf.train.Checkpoint(other).write(tmp_path / "a")
    with pytest.raises(WeightsError, match=r"a: no VGG16: it has 0 3x3 convolutions"):
        formats.read(tmp_path / "a")


def test_names_with_underscores_are_understood(tmp_path: Path) -> None:
    """As people write them: `conv1_1/conv1_1_filters`, `conv1_1/conv1_1_biases`."""
    made = networks.layers()
    arrays = {}
    for layer, pair in made.items():
        for part, value in zip(("filters", "biases"), pair, strict=True):
            arrays[f"{layer}/{layer}_{part}"] = value
    tables.write_bundle(tmp_path / "a", arrays)
    assert formats.read(tmp_path / "a").fingerprint == networks.converted(made).fingerprint


def batch_norm(images: Any, scale: bool = False) -> Any:
    """Slim's variables and default epsilon: its own code needs a TensorFlow of its time."""
    width = images.shape[-1:]
    with v1.variable_scope("BatchNorm"):
        mean, variance = (v1.get_variable(f"moving_{n}", width) for n in ("mean", "variance"))
        beta = v1.get_variable("beta", width)
        gamma = v1.get_variable("gamma", width) if scale else None
    return tf.nn.batch_normalization(images, mean, variance, beta, gamma, 0.001)


@pytest.mark.parametrize("scale", [True, False])
def test_slims_batch_normalisation_is_folded(tmp_path: Path, scale: bool) -> None:
    generator = np.random.default_rng(3)
    normal = {"normalizer_fn": batch_norm, "normalizer_params": {"scale": scale}}
    with tf.Graph().as_default(), networks.narrow_slim(10) as vgg, v1.Session() as session:
        images = tf.constant(CROPS.astype(np.float32) - np.float32(networks.MEAN_RGB))
        with slim.arg_scope(vgg.vgg_arg_scope()), slim.arg_scope([slim.conv2d], **normal):
            _, points = vgg.vgg_16(images, 10, is_training=False)
        session.run(v1.global_variables_initializer())
        for variable in v1.global_variables():
            if "BatchNorm" in variable.name:
                low = 0.5 if "gamma" in variable.name or "variance" in variable.name else -0.5
                variable.load(generator.uniform(low, low + 1, variable.shape), session)
        v1.train.Saver().save(session, str(tmp_path / "bn.ckpt"), write_meta_graph=False)
        expected = session.run(tf.squeeze(points["vgg_16/fc7"], [1, 2]))
    assert relative_error(Extractor(tmp_path / "bn.ckpt")(CROPS), expected) < 1e-5


def test_half_of_a_batch_normalisation_is_damage(tmp_path: Path) -> None:
    arrays = tables.TINY | {"vgg_16/conv2/conv2_1/BatchNorm/beta": np.zeros(2, np.float32)}
    tables.write_bundle(tmp_path / "a", arrays)
    with pytest.raises(WeightsError, match="the batch normalisation of conv2_1 is not whole"):
        formats.read(tmp_path / "a")


def normalised(between: bool) -> Any:
    """A network of Keras with a normalisation behind each convolution, or in its head alone."""
    stack: list[Any] = [keras.Input((224, 224, 3))]
    for block in vgg16.BLOCKS:
        for name in block:
            stack.append(keras.layers.Conv2D(networks.NARROW[name], 3, padding="same"))
            stack += [keras.layers.BatchNormalization()] if between else []
        stack.append(keras.layers.MaxPooling2D())
    stack += [keras.layers.GlobalAveragePooling2D(), keras.layers.BatchNormalization()]
    return keras.Sequential([*stack, keras.layers.Dense(5)])


def test_normalisation_between_the_convolutions_of_keras_is_refused(tmp_path: Path) -> None:
    tf.train.Checkpoint(normalised(between=True)).write(tmp_path / "a")
    with pytest.raises(WeightsError, match="normalises batches between the convolutions"):
        formats.read(tmp_path / "a", channels="bgr", scale="caffe")


def test_names_sorted_by_class_do_not_hide_a_normalisation(tmp_path: Path) -> None:
    made = networks.layers()
    arrays = {}
    for number, (layer, (kernel, bias)) in enumerate(made.items()):
        suffix = f"_{number}" if number else ""
        arrays |= {f"conv2d{suffix}/kernel": kernel, f"conv2d{suffix}/bias": bias}
        if layer in vgg16.CONVOLUTIONS:
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                arrays[f"batch_normalization{suffix}/{part}"] = np.ones_like(bias)
    tables.write_bundle(tmp_path / "a", arrays)
    with pytest.raises(WeightsError, match="normalises batches between the convolutions"):
        formats.read(tmp_path / "a", channels="bgr", scale="caffe")


def test_normalisation_in_another_head_is_passed_over(tmp_path: Path) -> None:
    tf.train.Checkpoint(normalised(between=False)).write(tmp_path / "a")
    weights = formats.read(tmp_path / "a", channels="bgr", scale="caffe")
    assert weights.layers == vgg16.CONVOLUTIONS


def test_a_network_without_biases_is_read_and_one_that_lost_some_is_not(tmp_path: Path) -> None:
    made = {name: (k, np.zeros_like(b)) for name, (k, b) in networks.layers().items()}
    convolutions = {name: made[name] for name in vgg16.CONVOLUTIONS}
    arrays = {f"net/{name}/kernel": kernel for name, (kernel, _) in convolutions.items()}
    tables.write_bundle(tmp_path / "a", arrays)
    told: dict[str, Any] = {"channels": "rgb", "scale": "caffe"}
    weights = formats.read(tmp_path / "a", **told)
    assert weights.fingerprint == networks.converted(convolutions).fingerprint
    tables.write_bundle(tmp_path / "b", arrays | {"net/conv2_1/bias": made["conv2_1"][1]})
    with pytest.raises(WeightsError, match="no VGG16: it has no conv1_1, conv1_2, conv2_2"):
        formats.read(tmp_path / "b", **told)
    others = {f"net/{name}/offset": bias for name, (_, bias) in convolutions.items()}
    tables.write_bundle(tmp_path / "c", arrays | others)
    with pytest.raises(WeightsError, match="net/conv1_1 has no bias, but offset is beside its"):
        formats.read(tmp_path / "c", **told)
