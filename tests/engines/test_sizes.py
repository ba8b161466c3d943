"""Images of other sizes than 224 pixels, against operations of TensorFlow written out plainly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, vgg16
from vggfeat.errors import UsageError

ENGINES = ("ncnn", "tensorflow")
NARROW = networks.weights()


def noise(size: int, count: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3), np.uint8)


def plain(crops: NDArray[np.uint8], layers: networks.Layers) -> dict[str, NDArray[np.float32]]:
    """All maps after their ReLU, and the fully connected layers as convolutions, averaged."""
    x: Any = tf.constant(crops - np.float32(networks.MEAN_RGB))
    found = {}
    for number, block in enumerate(vgg16.BLOCKS, start=1):
        for name in block:
            x = tf.nn.relu(tf.nn.conv2d(x, layers[name][0], 1, "SAME") + layers[name][1])
            found[name] = x.numpy()
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        found[f"pool{number}"] = x.numpy()
    if x.shape[1] < 7:
        return found
    for name in vgg16.FULLY_CONNECTED:
        kernel, bias = layers[name]
        window = 7 if name == "fc6" else 1
        shape = (window, window, len(kernel) // window**2, len(bias))
        x = tf.nn.conv2d(x, kernel.reshape(shape), 1, "VALID") + bias
        found[f"{name}:linear"] = x.numpy().mean(axis=(1, 2))
        x = tf.nn.relu(x) if name != "fc8" else x
        found[name] = x.numpy().mean(axis=(1, 2))
    found["prob"] = tf.nn.softmax(found["fc8"]).numpy()
    return found


def test_maps_of_any_size_are_those_of_plain_convolutions() -> None:
    asked = ["conv1_2", "pool1", "pool2", "conv3_3", "pool3", "pool4", "pool5"]
    for size in (*range(32, 66), *range(80, 90), 111):
        crops = noise(size)
        expected = plain(crops, networks.layers())
        found = Extractor(NARROW, asked, engine="ncnn", size=size)(crops)
        for layer in asked:
            assert relative_error(found[layer], expected[layer]) < 1e-5, (size, layer)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [225, 255, 256, 300])
def test_large_sizes_are_dense_evaluation(engine: str, size: int) -> None:
    crops = noise(size, 2)
    expected = plain(crops, networks.layers())
    asked = ["conv1_1", "conv1_2", "pool1", "pool5", "fc6:linear", "fc6", "fc7", "fc8", "prob"]
    found = Extractor(NARROW, asked, engine=engine, size=size)(crops)
    for layer in asked:
        assert relative_error(found[layer], expected[layer]) < 1e-5, layer


@pytest.mark.parametrize("engine", ENGINES)
def test_an_odd_size_is_taken_by_both_engines(engine: str) -> None:
    crops = noise(77)
    found = Extractor(NARROW, "pool5", engine=engine, size=77)(crops)
    assert found.shape == (1, 2, 2, 32)
    assert relative_error(found, plain(crops, networks.layers())["pool5"]) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_no_bit_of_a_dense_row_depends_on_its_batch(engine: str) -> None:
    crops = noise(300, 5)
    extractor = Extractor(NARROW, ["fc7", "prob"], engine=engine, size=300)
    together = extractor(crops)
    extractor.batch_size = 2
    apart = extractor(crops[::-1])
    for layer, rows in together.items():
        np.testing.assert_array_equal(apart[layer][::-1], rows)


def test_images_too_small_for_a_layer_are_one_sentence() -> None:
    with pytest.raises(
        UsageError, match=r"fc7 takes images of 224 pixels .* ask for --layer pool5"
    ):
        Extractor(NARROW, ["pool5", "fc7"], size=223)
    with pytest.raises(UsageError, match="size 31: the least is 32"):
        Extractor(NARROW, "pool1", size=31)


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_of_large_maps_are_small(engine: str) -> None:
    def batch_size(layer: str, size: int) -> int:
        return Extractor(NARROW, layer, engine=engine, size=size).engine.batch_size

    assert batch_size("conv1_1:avg", 224) == {"ncnn": 32, "tensorflow": 16}[engine]
    bytes_of_one = 4 * 1024 * 1024 * networks.NARROW["conv1_1"]
    assert batch_size("conv1_1", 1024) * bytes_of_one <= 1 << 26
