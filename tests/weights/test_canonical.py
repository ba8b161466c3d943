"""The canonical set, and the file it is kept in."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests import networks
from vggfeat import WeightsError, vgg16
from vggfeat.weights import formats
from vggfeat.weights.canonical import check_intact
from vggfeat.weights.formats import canonical
from vggfeat.weights.random import random_weights


def test_the_file_gives_back_the_same_bits_and_words(tmp_path: Path) -> None:
    weights = networks.weights()
    canonical.write(weights, tmp_path / "a.safetensors")
    again = formats.read(tmp_path / "a.safetensors")
    assert list(again.tensors) == list(weights.tensors)
    for name, array in weights.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], array)
    assert (again.source, again.fingerprint) == (weights.source, weights.fingerprint)
    check_intact(again)


def test_any_safetensors_reader_can_read_the_file(tmp_path: Path) -> None:
    weights = networks.weights()
    canonical.write(weights, tmp_path / "a.safetensors")
    for name, array in load_file(tmp_path / "a.safetensors").items():
        np.testing.assert_array_equal(array, weights.tensors[name])


def test_opening_maps_the_file_and_copies_nothing(narrow_file: Path) -> None:
    for array in formats.read(narrow_file).tensors.values():
        base = array
        while not isinstance(base, np.memmap):
            assert base.base is not None
            base = base.base
        assert not array.flags.owndata


def test_bgr_kernels_are_turned_to_rgb() -> None:
    rgb = networks.layers()
    bgr = rgb | {"conv1_1": (rgb["conv1_1"][0][:, :, ::-1], rgb["conv1_1"][1])}
    made = [
        networks.converted(layers, channels) for layers, channels in ((rgb, "rgb"), (bgr, "bgr"))
    ]
    assert made[0].fingerprint == made[1].fingerprint


def test_the_fingerprint_sees_a_single_number() -> None:
    layers = networks.layers()
    first = networks.converted(layers).fingerprint
    layers["fc7"][0][-1, -1] += 1e-6
    assert networks.converted(layers).fingerprint != first


@pytest.mark.parametrize("missing", ["conv1_1", "conv4_2", "conv5_3"])
def test_every_convolution_is_needed(missing: str) -> None:
    layers = networks.layers()
    del layers[missing]
    with pytest.raises(WeightsError, match=f"no VGG16: it has no {missing}"):
        networks.converted(layers)


@pytest.mark.parametrize("layer", vgg16.LAYERS)
def test_a_kernel_that_does_not_fit_the_chain_is_named(layer: str) -> None:
    layers = networks.layers()
    kernel, bias = layers[layer]
    layers[layer] = kernel[..., :-1, :], bias
    with pytest.raises(WeightsError, match=f"no VGG16: {layer} has shape .* expected"):
        networks.converted(layers)


def test_a_bias_of_another_length_is_named() -> None:
    layers = networks.layers()
    kernel, bias = layers["conv2_1"]
    layers["conv2_1"] = kernel, bias[:-1]
    with pytest.raises(WeightsError, match=r"bias of conv2_1 has shape \[7\], expected \[8\]"):
        networks.converted(layers)


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        (vgg16.WIDTHS, "VGG16, 13 convolutions and fc6, fc7, fc8 (1000 classes)"),
        (networks.NARROW, "VGG16-shaped network with layers of other widths, 13 convolutions and "),
        (networks.without("fc6", "fc7", "fc8"), "convolutions only (up to pool5)"),
    ],
)
def test_it_says_what_kind_of_network_it_is(widths: dict[str, int], said: str) -> None:
    zeros: networks.Layers = {}
    channels = 3
    for name, width in widths.items():
        shape = vgg16.kernel_shape(name, channels, width)
        zeros[name] = np.zeros(shape, np.float32), np.zeros(width, np.float32)
        channels = width
    assert said in networks.converted(zeros).describe()


def test_random_weights_are_the_same_each_time_and_he_scaled() -> None:
    first, second = random_weights(networks.NARROW), random_weights(networks.NARROW)
    assert first.fingerprint == second.fingerprint
    assert random_weights(networks.NARROW, seed=1).fingerprint != first.fingerprint
    kernel = first.tensors["fc6/kernel"]
    assert kernel.std() == pytest.approx((2 / kernel.shape[0]) ** 0.5, rel=0.01)
    assert not first.trained


def test_a_file_of_another_version_says_what_to_do(tmp_path: Path, narrow_file: Path) -> None:
    data = narrow_file.read_bytes().replace(b'"vggfeat":"2"', b'"vggfeat":"9"')
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="import the original again"):
        formats.read(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"conv1_1/kernel":{"dtype":"F32"', b'"conv1_1/kernel":{"dtype":"I32"'),
        (b'"shape":[3,3,3,4]', b'"shape":[3,3,4,3]'),
        (b'"mean":', b'"maen":'),
        (b'"fingerprint":', b'"fingerpaint":'),
        (b'"origin":"{', b'"origin":"x'),
    ],
)
def test_a_header_that_lies_is_one_sentence(
    tmp_path: Path, narrow_file: Path, old: bytes, new: bytes
) -> None:
    data = narrow_file.read_bytes()
    assert old in data
    (tmp_path / "x.safetensors").write_bytes(data.replace(old, new, 1))
    with pytest.raises(WeightsError, match=r"x\.safetensors: (damaged|no VGG16)"):
        formats.read(tmp_path / "x.safetensors")


@pytest.mark.parametrize("length", [12, 200, 5000])
def test_a_file_cut_short_is_one_sentence(tmp_path: Path, narrow_file: Path, length: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(narrow_file.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"cut\.safetensors: damaged"):
        formats.read(path)


def test_changed_numbers_are_noticed_when_the_file_is_checked(
    tmp_path: Path, narrow_file: Path
) -> None:
    data = bytearray(narrow_file.read_bytes())
    data[-100] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="damaged: the numbers no longer fit the fingerprint"):
        check_intact(formats.read(tmp_path / "bad.safetensors"))


def test_nothing_of_a_file_is_left_where_writing_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        canonical.write(networks.weights(), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_an_empty_file_and_none_at_all_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(WeightsError, match="not a form of weights that vggfeat knows"):
        formats.read(tmp_path / "empty")
    with pytest.raises(WeightsError, match="no such file"):
        formats.read(tmp_path / "none")
    with pytest.raises(WeightsError, match="not a form of weights"):
        formats.read(tmp_path)
