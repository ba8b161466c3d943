"""The TensorFlow engine: the network's numbers, and bits that do not depend on the batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, VggfeatError, WeightsError, engines, vgg16

CROPS = networks.pictures(20)


def float64_features(crops: NDArray[np.uint8], layer: str) -> NDArray[np.float64]:
    """The network written out plainly, in float64 NumPy."""
    layers = networks.layers()
    x = crops.astype(float) - np.float32(networks.MEAN_RGB)
    for block in vgg16.BLOCKS:
        for name in block:
            kernel, bias = layers[name]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            rows, columns = x.shape[1:3]
            x = sum(
                padded[:, i : i + rows, j : j + columns] @ kernel[i, j].astype(float)
                for i in range(3)
                for j in range(3)
            )
            x = np.maximum(x + bias, 0)
        n, h, w, c = x.shape
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
    if layer != "pool5":
        x = x.reshape(len(x), -1)
        for name in ("fc6", "fc7")[: 1 if layer == "fc6" else 2]:
            kernel, bias = layers[name]
            x = np.maximum(x @ kernel.astype(float) + bias, 0)
    return x


@pytest.mark.parametrize("layer", ["pool5", "fc6", "fc7"])
def test_every_layer_is_the_plain_networks(layer: str) -> None:
    found = Extractor(networks.weights(), layer)(CROPS[:3])
    assert found.dtype == np.float32
    assert relative_error(found, float64_features(CROPS[:3], layer)) < 1e-5


def test_shapes_are_those_of_the_weights() -> None:
    weights = networks.weights()
    assert Extractor(weights, "pool5").shape == (7, 7, 32)
    assert Extractor(weights, "fc7").shape == (256,)


@pytest.fixture(scope="module")
def one_by_one() -> NDArray[np.float32]:
    extractor = Extractor(networks.weights(), batch_size=1)
    return np.concatenate([extractor(crop) for crop in CROPS])


@given(order=st.permutations(range(len(CROPS))), batch_size=st.integers(1, 24), data=st.data())
@settings(max_examples=25, deadline=None)
def test_no_bit_of_a_row_depends_on_order_batch_size_or_neighbours(
    one_by_one: NDArray[np.float32], order: list[int], batch_size: int, data: st.DataObject
) -> None:
    chosen = order[: data.draw(st.integers(1, len(order)))]
    extractor = Extractor(EXTRACTOR.weights, batch_size=batch_size)
    extractor.engine = EXTRACTOR.engine
    np.testing.assert_array_equal(extractor(CROPS[chosen]), one_by_one[chosen])


EXTRACTOR = Extractor(networks.weights())


def test_the_same_holds_at_full_size() -> None:
    from vggfeat.weights.random import random_weights

    crops = CROPS[:9]
    extractor = Extractor(random_weights(), batch_size=9)
    together = extractor(crops)
    assert together.shape == (9, 4096)
    for batch_size in (1, 2, 4):
        extractor.batch_size = batch_size
        np.testing.assert_array_equal(extractor(crops[::-1])[::-1], together)


def test_a_batch_of_one_is_padded_and_larger_ones_are_not() -> None:
    engine = EXTRACTOR.engine
    assert [engine.padded_rows(rows, 16) for rows in (1, 2, 15, 16)] == [2, 2, 15, 16]


def test_a_layer_or_engine_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(VggfeatError, match="no layer 'fc9'; there are pool5, fc6, fc7"):
        Extractor(networks.weights(), "fc9")
    with pytest.raises(VggfeatError, match="no engine 'caffe'; there are auto, tensorflow"):
        engines.create("caffe", networks.weights(), "fc7")


def test_a_layer_that_the_weights_do_not_reach_says_what_is_missing() -> None:
    weights = networks.weights(networks.without("fc7", "fc8"))
    assert Extractor(weights, "fc6").shape == (256,)
    with pytest.raises(WeightsError, match="fc7 cannot be computed: .* hold no fc7"):
        Extractor(weights, "fc7")


def test_running_out_of_memory_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    def exhausted(images: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(EXTRACTOR.engine, "_network", exhausted)
    with pytest.raises(VggfeatError, match="batch of 3 images: try a smaller --batch-size"):
        EXTRACTOR(CROPS[:3])
