"""What holds for every form alike: one contract, run over a network written in each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest

from tests import networks
from tests.networks import Layers, relative_error
from tests.weights.written import KERAS_NAMES, WRITERS
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.inputs import SCALES
from vggfeat.weights import formats

REAL = os.environ.get("VGGFEAT_REAL_NOTOP")
CROPS = networks.pictures(2)

every_form = pytest.mark.parametrize("form", WRITERS)


def read_as_written(form: str, layers: Layers, folder: Path) -> formats.Weights:
    """Writers do not scale, so the forms that mean scaled pixels are told otherwise."""
    return formats.read(WRITERS[form](layers, folder / "network"), scale="caffe")


@every_form
def test_all_forms_of_one_network_give_identical_bytes(form: str, tmp_path: Path) -> None:
    expected = networks.weights()
    found = read_as_written(form, networks.layers(), tmp_path)
    assert found.layers == expected.layers
    for name, array in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array, err_msg=name)
    assert found.fingerprint == expected.fingerprint


@every_form
@pytest.mark.parametrize("missing", [("fc8",), ("fc6", "fc7", "fc8")])
def test_layers_that_are_missing_are_not_needed(
    form: str, missing: tuple[str, ...], tmp_path: Path
) -> None:
    layers = networks.layers(networks.without(*missing))
    found = read_as_written(form, layers, tmp_path)
    assert found.layers == tuple(layers)
    expected = networks.weights(networks.without(*missing))
    assert found.fingerprint == expected.fingerprint
    if "fc7" in missing:
        with pytest.raises(WeightsError, match="fc7 cannot be computed.*hold no fc6 and no fc7"):
            Extractor(found)


@every_form
def test_a_number_that_is_not_finite_is_refused(form: str, tmp_path: Path) -> None:
    layers = networks.layers()
    layers["conv4_2"][0][1, 1, 3, 5] = np.nan
    with pytest.raises(WeightsError, match=r"damaged: conv4_2 holds numbers that are NaN"):
        read_as_written(form, layers, tmp_path)


@every_form
def test_a_kernel_that_does_not_fit_is_no_vgg16(form: str, tmp_path: Path) -> None:
    layers = networks.layers()
    kernel, bias = layers["conv4_2"]
    layers["conv4_2"] = kernel[:, :, :-1], bias
    if form == "frozen":
        pytest.skip("TensorFlow builds no such graph")
    with pytest.raises(WeightsError, match="no VGG16"):
        read_as_written(form, layers, tmp_path)


@pytest.fixture(scope="module")
def full_size() -> tuple[Layers, str]:
    """All 138 million numbers, and their fingerprint.

    They repeat after a prime number of them, out of step with every axis: as good as random
    where axes may be mixed up, and made in no time.
    """
    noise = np.random.default_rng(0).normal(0, 0.05, 1_000_003).astype(np.float32)
    layers: Layers = {}
    channels = 3
    for number, (name, width) in enumerate(vgg16.WIDTHS.items()):
        shape = vgg16.kernel_shape(name, channels, width)
        layers[name] = np.resize(noise[number:], shape), noise[number : number + width]
        channels = width
    return layers, networks.converted(layers).fingerprint


@every_form
def test_the_full_size_network_goes_through_every_form(
    form: str, full_size: tuple[Layers, str]
) -> None:
    layers, fingerprint = full_size
    with TemporaryDirectory() as folder:  # half a gigabyte that nobody will look at
        found = read_as_written(form, layers, Path(folder))
        assert found.describe() == "VGG16, 13 convolutions and fc6, fc7, fc8 (1000 classes)"
        assert found.fingerprint == fingerprint


# The real convolutions


def real_layers() -> Layers:
    with h5py.File(REAL) as root:
        layers = {
            name: tuple(root[f"{KERAS_NAMES[name]}/{KERAS_NAMES[name]}_{part}_1:0"][()]
                        for part in "Wb")
            for name in vgg16.CONVOLUTIONS
        }  # fmt: skip
    kernel, bias = layers["conv1_1"]
    return layers | {"conv1_1": (np.ascontiguousarray(kernel[:, :, ::-1]), bias)}


def as_it_is(layers: Layers) -> Layers:
    return layers


def flipped(layers: Layers) -> Layers:
    kernel, bias = layers["conv1_1"]
    return layers | {"conv1_1": (np.ascontiguousarray(kernel[:, :, ::-1]), bias)}


def fine_tuned(layers: Layers) -> Layers:
    generator = np.random.default_rng(0)
    return {
        name: (kernel + generator.normal(0, 0.01 * kernel.std(), kernel.shape).astype("f4"), bias)
        for name, (kernel, bias) in layers.items()
    }


def torch_scaled(layers: Layers) -> Layers:
    kernel, bias = layers["conv1_1"]
    divisor = np.array(SCALES["torch"][1], np.float32)
    return layers | {"conv1_1": (kernel * divisor[:, None], bias)}


@pytest.mark.skipif(not REAL, reason="VGGFEAT_REAL_NOTOP does not name the published file")
@every_form
@pytest.mark.parametrize(
    ("change", "training", "scale"),
    [
        (as_it_is, "Oxford's", "caffe"),
        (flipped, "Oxford's", "caffe"),
        (fine_tuned, "fine-tuned from Oxford's (all convolutions differ)", "caffe"),
        (torch_scaled, "Oxford's, but rounded (conv1_1 differs)", "torch"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_oxfords_network_is_recognised_in_every_form(
    form: str, change: Callable[[Layers], Layers], training: str, scale: str, tmp_path: Path
) -> None:
    real = real_layers()
    found = formats.read(WRITERS[form](change(real), tmp_path / "network"))
    assert found.origin.training.startswith(training)
    assert found.origin.scale == scale
    exact = change not in (fine_tuned, torch_scaled)
    kernel, expected = found.tensors["conv1_1/kernel"], real["conv1_1"][0]
    assert relative_error(kernel[None], expected[None]) < (1e-9 if exact else 0.02)
    correctly_declared = change in (as_it_is, fine_tuned) and "torch" not in str(form)
    if correctly_declared and form not in ("timm_safetensors", "onnx"):
        assert not found.origin.warnings
    else:
        assert change is torch_scaled or "the numbers are followed" in found.origin.warnings[0]
