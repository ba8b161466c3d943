"""One contract for all engines: the network's numbers, and bits that depend on nothing else."""

from __future__ import annotations

import copy
import functools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, VggfeatError, WeightsError, engines, vgg16
from vggfeat.activations import Activation
from vggfeat.weights.random import random_weights

CROPS = networks.pictures(20)
ENGINES = ("ncnn", "tensorflow")


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


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layer", ["pool5", "fc6", "fc7"])
def test_every_layer_is_the_plain_networks(engine: str, layer: str) -> None:
    found = Extractor(networks.weights(), layer, engine=engine)(CROPS[:3])
    assert found.dtype == np.float32
    assert relative_error(found, float64_features(CROPS[:3], layer)) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_widths_may_be_any(engine: str) -> None:
    widths = dict(
        zip(networks.NARROW, [3, 5, 8, 9, 16, 17, 20, 1, 33, 7, 12, 40, 6, 11, 13], strict=False)
    )
    weights = networks.weights(widths)
    found = Extractor(weights, engine=engine)(CROPS[:2])
    other = Extractor(weights, engine=next(name for name in ENGINES if name != engine))(CROPS[:2])
    assert found.shape == (2, 13)
    assert relative_error(found, other) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_shapes_are_those_of_the_weights(engine: str) -> None:
    weights = networks.weights()
    assert Extractor(weights, "pool5", engine=engine).shape == (7, 7, 32)
    assert Extractor(weights, "fc7", engine=engine).shape == (256,)


LAYERS = ("fc7", "prob", "pool5", "conv1_2:linear:avg", "conv4_1:max")
Features = dict[str, NDArray[np.float32]]


@functools.cache
def ready(engine: str) -> Extractor:
    return Extractor(networks.weights(), LAYERS, engine=engine)


@functools.cache
def one_by_one(engine: str) -> Features:
    alone = [ready(engine)(crop) for crop in CROPS]
    return {layer: np.concatenate([found[layer] for found in alone]) for layer in LAYERS}


def assert_same_bits(found: Features, expected: Features, rows: list[int]) -> None:
    assert found.keys() == expected.keys()
    for layer, features in found.items():
        np.testing.assert_array_equal(features, expected[layer][rows], layer)


@pytest.mark.parametrize("engine", ENGINES)
@given(
    order=st.permutations(range(len(CROPS))),
    batch_size=st.integers(1, 24),
    workers=st.integers(1, 5),
    data=st.data(),
)
@settings(max_examples=15, deadline=None)
def test_no_bit_of_a_row_depends_on_order_batch_workers_or_neighbours(
    engine: str, order: list[int], batch_size: int, workers: int, data: st.DataObject
) -> None:
    chosen = order[: data.draw(st.integers(1, len(order)))]
    extractor = copy.copy(ready(engine))
    extractor.batch_size, extractor.workers = batch_size, workers
    assert_same_bits(extractor(CROPS[chosen]), one_by_one(engine), chosen)


@pytest.mark.parametrize("engine", ENGINES)
def test_another_start_gives_the_same_bits(engine: str) -> None:
    again = Extractor(networks.weights(), LAYERS, engine=engine)(CROPS)
    assert_same_bits(again, one_by_one(engine), list(range(len(CROPS))))


@pytest.fixture(scope="module")
def full_size() -> dict[str, NDArray[np.float32]]:
    """fc7 of the full-size network by engine; the same for every batch size, or it fails."""
    weights = random_weights()
    crops = CROPS[:5]
    found = {}
    for engine in ENGINES:
        extractor = Extractor(weights, engine=engine, batch_size=5)
        found[engine] = extractor(crops)
        for batch_size in (1, 3):
            extractor.batch_size = batch_size
            np.testing.assert_array_equal(extractor(crops[::-1])[::-1], found[engine])
    return found


def test_at_full_size_the_engines_agree(full_size: dict[str, NDArray[np.float32]]) -> None:
    assert full_size["ncnn"].shape == (5, 4096)
    assert relative_error(full_size["ncnn"], full_size["tensorflow"]) < 1e-5


REAL = os.environ.get("VGGFEAT_REAL_NOTOP")


@pytest.mark.skipif(not REAL, reason="VGGFEAT_REAL_NOTOP does not name the published notop file")
def test_on_the_real_convolutions_the_engines_agree(samples: list[Path]) -> None:
    found = [Extractor(REAL, "pool5", engine=engine)(samples) for engine in ENGINES]
    assert relative_error(*found) < 1e-5


def test_a_layer_or_engine_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(VggfeatError, match="no layer 'fc9'; there are conv1_1, .*, fc8, prob"):
        Extractor(networks.weights(), ["fc7", "fc9"])
    with pytest.raises(VggfeatError, match="no layer is asked for"):
        Extractor(networks.weights(), [])
    with pytest.raises(VggfeatError, match="no engine 'caffe'; there are auto, ncnn, tensorflow"):
        engines.create("caffe", networks.weights(), [Activation("fc7")])


def test_a_layer_that_the_weights_do_not_reach_says_what_is_missing() -> None:
    weights = networks.weights(networks.without("fc7", "fc8"))
    assert Extractor(weights, "fc6").shape == (256,)
    for layer, lacking in (("fc7", "fc7"), ("prob", "fc7 and no fc8")):
        sentence = f"{layer} cannot be computed: .* hold no {lacking}; ask for --layer fc6"
        with pytest.raises(WeightsError, match=sentence):
            Extractor(weights, ["pool5", layer])
