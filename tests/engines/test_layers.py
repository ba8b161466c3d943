"""Every output of the network against Keras' own, in one pass, and what is above left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, vgg16
from vggfeat.preprocess import preprocess
from vggfeat.weights.canonical import Weights

ENGINES = ("ncnn", "tensorflow")
CROPS = networks.pictures(2)
MAPS = list(vgg16.MAPS)
KERAS_NAMES = {
    **{name: name.replace("conv", "block").replace("_", "_conv") for name in vgg16.CONVOLUTIONS},
    **{f"pool{block}": f"block{block}_pool" for block in range(1, 6)},
    "fc6": "fc1",
    "fc7": "fc2",
    "prob": "predictions",
}
LINEAR = [f"{name}:linear" for name in (*vgg16.CONVOLUTIONS, "fc6", "fc7")]
POOLED = [f"{name}:{pooling}" for name in MAPS for pooling in ("avg", "max", "flat")]
POOLED += [f"{name}:linear:avg" for name in vgg16.CONVOLUTIONS]
ALL = [*MAPS, *LINEAR, *POOLED, "fc6", "fc7", "fc8", "prob"]


def keras_outputs(model: Any) -> Iterator[tuple[str, Any]]:
    """Of each layer, and what is before its activation: a convolution or product written anew."""
    import keras

    names = {theirs: ours for ours, theirs in KERAS_NAMES.items()}
    x = model.input
    for layer in model.layers[1:]:
        if layer.weights:
            convolves = len(layer.kernel.shape) == 4
            product = keras.ops.conv if convolves else keras.ops.matmul
            linear = product(x, layer.kernel, **({"padding": "same"} if convolves else {}))
            is_last = layer.name == "predictions"
            yield "fc8" if is_last else f"{names[layer.name]}:linear", linear + layer.bias
        x = layer.output
        if layer.name in names:
            yield names[layer.name], x


def keras_predictions(model: Any, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    import keras

    outputs = dict(keras_outputs(model))
    prepared = keras.applications.vgg16.preprocess_input(crops.astype(np.float32))
    found: dict[str, NDArray[np.float32]] = keras.Model(model.input, outputs).predict(
        prepared, verbose=0
    )
    return found


def pooled(found: dict[str, NDArray[np.float32]], layer: str) -> NDArray[Any]:
    """By plain NumPy, from the map."""
    name, _, pooling = layer.rpartition(":")
    if pooling not in ("avg", "max", "flat"):
        return found[layer]
    x = found[name].astype(np.float64)
    if pooling == "flat":
        return x.reshape(len(x), -1)
    return x.mean(axis=(1, 2)) if pooling == "avg" else x.max(axis=(1, 2))


@pytest.fixture(scope="module")
def expected() -> dict[str, NDArray[np.float32]]:
    layers = networks.layers()
    model = networks.keras_vgg16(classes=networks.NARROW["fc8"])
    kernel, bias = layers["conv1_1"]
    arrays = [kernel[:, :, ::-1], bias]  # Keras' network takes BGR
    arrays += [array for name in vgg16.LAYERS[1:] for array in layers[name]]
    model.set_weights(arrays)
    return keras_predictions(model, CROPS)


@pytest.fixture(scope="module", params=ENGINES)
def extractor(request: pytest.FixtureRequest) -> Extractor:
    return Extractor(networks.weights(), ALL, engine=request.param)


@pytest.fixture(scope="module")
def found(extractor: Extractor) -> dict[str, NDArray[np.float32]]:
    features: dict[str, NDArray[np.float32]] = extractor(CROPS)
    return features


def test_every_output_is_keras(
    found: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]]
) -> None:
    assert found.keys() == set(ALL)
    errors = {layer: relative_error(found[layer], pooled(expected, layer)) for layer in ALL}
    # The exponential of a logit has its error as often as the logit is large.
    assert errors.pop("prob") < 2e-5
    assert max(errors.values()) < 1e-5, errors


def test_shapes_are_told_beforehand(
    extractor: Extractor, found: dict[str, NDArray[np.float32]]
) -> None:
    assert extractor.shape == {layer: features.shape[1:] for layer, features in found.items()}
    assert all(features.dtype == np.float32 for features in found.values())


def test_what_is_after_a_relu_is_what_is_before_it_cut_at_zero(
    found: dict[str, NDArray[np.float32]],
) -> None:
    for layer in LINEAR:
        assert found[layer].min() < 0
        after = found[layer.removesuffix(":linear")]
        np.testing.assert_array_equal(np.maximum(found[layer], 0), after)


def test_probabilities_sum_to_one(found: dict[str, NDArray[np.float32]]) -> None:
    np.testing.assert_allclose(found["prob"].sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("layer", ["fc7", "pool5", "conv1_2:avg", "prob"])
def test_no_bit_depends_on_what_else_is_asked_for(
    layer: str, extractor: Extractor, found: dict[str, NDArray[np.float32]]
) -> None:
    alone = Extractor(extractor.weights, layer, engine=extractor.engine.name)(CROPS)
    np.testing.assert_array_equal(alone, found[layer])


class Recorded(dict[str, NDArray[np.float32]]):
    """Tensors that note which kernels are read."""

    def __init__(self, tensors: Any) -> None:
        super().__init__(tensors)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name.endswith("/kernel"):
            self.read.add(name.removesuffix("/kernel"))
        return super().__getitem__(name)


def broken_above(weights: Weights, layer: str) -> Weights:
    """Whatever the layer does not take is NaN."""
    whole = {f"{part}/{kind}" for part in vgg16.OUTPUTS[layer] for kind in ("kernel", "bias")}
    tensors = {
        name: array if name in whole or name == "mean" else np.full_like(array, np.nan)
        for name, array in weights.tensors.items()
    }
    return replace(weights, tensors=Recorded(tensors))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layer", ["conv1_1", "pool1", "conv3_2:linear:avg", "pool5", "fc6"])
def test_nothing_above_the_highest_layer_is_read_or_computed(engine: str, layer: str) -> None:
    weights = broken_above(networks.weights(), layer.partition(":")[0])
    found = Extractor(weights, layer, engine=engine)(CROPS[:1])  # NaN would end it
    assert found.any()
    assert weights.tensors.read == set(vgg16.OUTPUTS[layer.partition(":")[0]])  # type: ignore[attr-defined]


REAL = os.environ.get("VGGFEAT_REAL_NOTOP")


@pytest.mark.skipif(not REAL, reason="VGGFEAT_REAL_NOTOP does not name the published notop file")
def test_on_the_real_convolutions_layers_are_keras(samples: list[Path]) -> None:
    import keras

    crops = np.stack([preprocess(path.read_bytes()) for path in samples[:2]])
    model = keras.applications.VGG16(include_top=False, weights=REAL)
    expected = keras_predictions(model, crops)
    layers = ["conv1_2", "pool2:max", "conv3_3:linear", "conv4_3:avg", "conv5_3:linear", "pool5"]
    for engine in ENGINES:
        found = Extractor(REAL, layers, engine=engine)(crops)
        errors = {layer: relative_error(found[layer], pooled(expected, layer)) for layer in layers}
        assert max(errors.values()) < 1e-5, (engine, errors)
