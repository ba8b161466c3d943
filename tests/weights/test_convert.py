"""Layouts, types, channels, scales and batch normalisation, against plain arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from tests import networks
from tests.weights.written import as_convolution, channels_first
from vggfeat import WeightsError, vgg16
from vggfeat.inputs import SCALES, Input, of_scale
from vggfeat.weights.convert import convert
from vggfeat.weights.layers import Layer, Network, batch_norm
from vggfeat.weights.tensors import of_array

RGB = of_scale("rgb", "caffe")
MADE = networks.layers()


def converted(layers: dict[str, Layer], taken: Input = RGB) -> dict[str, NDArray[np.float32]]:
    return dict(convert(Network("", layers), taken))


def as_they_are() -> dict[str, Layer]:
    return {
        name: Layer((name,), of_array(kernel), "hwio" if kernel.ndim == 4 else "io", of_array(bias))
        for name, (kernel, bias) in MADE.items()
    }


def expected() -> dict[str, NDArray[np.float32]]:
    parts = ("kernel", "bias")
    return {
        f"{name}/{part}": array
        for name, pair in MADE.items()
        for part, array in zip(parts, pair, strict=True)
    }


def assert_same(found: dict[str, Any]) -> None:
    for name, array in expected().items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == np.float32
        assert found[name].flags.c_contiguous
    np.testing.assert_array_equal(found["mean"], np.array(RGB.mean, "f4"))


def channel_first_layers(dense_as_convolutions: bool) -> dict[str, Layer]:
    layers = {}
    for name, (kernel, bias) in MADE.items():
        kept = channels_first(name, kernel)
        axes = "oihw" if kernel.ndim == 4 else "oi"
        if kernel.ndim == 2 and dense_as_convolutions:
            kept = np.ascontiguousarray(as_convolution(name, kernel).transpose(3, 2, 0, 1))
            axes = "oihw"
        layers[name] = Layer((name,), of_array(kept), axes, of_array(bias), flatten="chw")
    return layers


@pytest.mark.parametrize("dense_as_convolutions", [False, True])
def test_channels_first_becomes_channels_last(dense_as_convolutions: bool) -> None:
    assert_same(converted(channel_first_layers(dense_as_convolutions)))


def test_convolutions_of_tf_slim_become_dense() -> None:
    layers = {
        name: replace(layer, kernel=of_array(as_convolution(name, MADE[name][0])), axes="hwio")
        for name, layer in as_they_are().items()
    }
    assert_same(converted(layers))


def test_a_dense_fc6_may_read_pool5_channels_first() -> None:
    kernel = MADE["fc6"][0]
    kept = np.ascontiguousarray(channels_first("fc6", kernel).T)
    layers = as_they_are()
    layers["fc6"] = replace(layers["fc6"], kernel=of_array(kept), flatten="chw")
    assert_same(converted(layers))


def test_a_mapped_kernel_that_is_right_already_is_not_copied() -> None:
    layers = as_they_are()
    found = converted(layers)
    assert np.shares_memory(found["fc6/kernel"], MADE["fc6"][0])


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8", ml_dtypes.bfloat16])
def test_other_floats_become_float32(dtype: Any) -> None:
    layers = {
        name: replace(layer, kernel=of_array(MADE[name][0].astype(dtype)))
        for name, layer in as_they_are().items()
    }
    found = converted(layers)
    for name in MADE:
        plain = MADE[name][0].astype(dtype).astype(np.float32)
        np.testing.assert_array_equal(found[f"{name}/kernel"], plain)


@pytest.mark.parametrize("dtype", ["i4", "u1", "c8", "?"])
def test_what_is_no_float_is_refused(dtype: str) -> None:
    layers = as_they_are()
    layers["fc7"] = replace(layers["fc7"], kernel=of_array(MADE["fc7"][0].astype(dtype)))
    with pytest.raises(WeightsError, match=r"no VGG16: fc7 holds \w+, expected float32"):
        converted(layers)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("part", ["kernel", "bias"])
def test_what_is_not_finite_in_float32_is_refused(value: float, part: str) -> None:
    layers = as_they_are()
    array = expected()[f"fc6/{part}"].astype(np.float64)
    array.reshape(-1)[-1] = value
    layers["fc6"] = replace(layers["fc6"], **{part: of_array(array)})
    with pytest.raises(WeightsError, match="damaged: fc6 holds numbers that are NaN or infinite"):
        converted(layers)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_the_first_layer_gives_what_it_gave_to_its_own_pixels(channels: str, scale: str) -> None:
    """A 3x3 patch, through the kernel as it is kept and through the canonical one."""
    taken = of_scale(channels, scale)
    patch = np.random.default_rng(0).integers(0, 256, (3, 3, 3)).astype(np.float64)
    mean, divisor = (np.array(part) for part in SCALES[scale])
    own = (patch - mean) / divisor
    own = own if channels == "rgb" else own[..., ::-1]
    kept = MADE["conv1_1"][0].astype(np.float64)

    found = converted(as_they_are(), taken)

    plain = np.einsum("hwi,hwio->o", own, kept)
    ours = np.einsum("hwi,hwio->o", patch - found["mean"], found["conv1_1/kernel"])
    np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("layer", ["conv1_1", "conv4_2", "fc6", "fc7"])
@pytest.mark.parametrize("first", [False, True])
def test_batch_normalisation_is_folded_exactly(layer: str, first: bool) -> None:
    """Rounded once, at the end: equal to float64 arithmetic to half a unit in the last place."""
    generator = np.random.default_rng(3)
    width = networks.NARROW[layer]
    gamma, beta, mean = (generator.normal(1, 0.3, width) for _ in range(3))
    variance = generator.uniform(0.3, 2, width)
    layers = channel_first_layers(False) if first else as_they_are()
    affine = batch_norm(gamma, beta, mean, variance, 1e-3)
    layers[layer] = replace(layers[layer], affine=affine)

    found = converted(layers)

    kernel, bias = (array.astype(np.float64) for array in MADE[layer])
    factor = gamma / np.sqrt(variance + 1e-3)
    np.testing.assert_array_equal(found[f"{layer}/kernel"], (kernel * factor).astype("f4"))
    np.testing.assert_allclose(found[f"{layer}/bias"], (bias - mean) * factor + beta, rtol=1e-6)


def test_a_layer_without_a_bias_has_one_of_zeros() -> None:
    layers = as_they_are()
    layers["conv2_1"] = replace(layers["conv2_1"], bias=None)
    found = converted(layers)
    np.testing.assert_array_equal(found["conv2_1/bias"], np.zeros(networks.NARROW["conv2_1"]))


def test_the_order_is_the_networks() -> None:
    names = [f"{name}/{part}" for name in vgg16.LAYERS for part in ("kernel", "bias")]
    assert list(converted(as_they_are())) == [*names, "mean"]
