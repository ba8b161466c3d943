"""safetensors files with the names and numbers that torchvision's VGG16 takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from tests import torch_models
from tests.exports.networks import (
    CROPS,
    TORCH_MEAN,
    whole,
    with_mean,
)
from tests.networks import relative_error
from vggfeat import Extractor, exports


@pytest.mark.parametrize("mean", [None, TORCH_MEAN])
def test_it_holds_what_the_torch_file_holds(tmp_path: Path, mean: Any) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch

    weights = with_mean(mean) if mean else whole()
    said = exports.export(weights, tmp_path / "vgg16.safetensors")
    other = exports.export(weights, tmp_path / "vgg16.pth")
    assert said.partition(";")[2] == other.partition(";")[2]
    found = load_torch(tmp_path / "vgg16.safetensors")
    expected = torch.load(tmp_path / "vgg16.pth", weights_only=True)
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)


def test_torchvision_gives_the_same_fc7(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch

    weights = with_mean(TORCH_MEAN)
    exports.export(weights, tmp_path / "vgg16.safetensors")
    model = torch_models.narrow_vgg16()
    model.load_state_dict(load_torch(tmp_path / "vgg16.safetensors"), strict=True)
    with torch.inference_mode():
        pool5 = model.features(torch_models.torch_pixels(CROPS)).flatten(1)
        found = model.classifier[:5](pool5).numpy()
    assert relative_error(found, Extractor(weights)(CROPS)) < 1e-5


def test_numbers_lie_as_pytorch_has_them(tmp_path: Path) -> None:
    exports.export(whole(), tmp_path / "vgg16.safetensors")
    found = load_file(tmp_path / "vgg16.safetensors")
    tensors = whole().tensors
    conv2_1 = tensors["conv2_1/kernel"].transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(found["features.5.weight"], conv2_1)
    fc6 = tensors["fc6/kernel"].reshape(7, 7, 32, 256).transpose(3, 2, 0, 1).reshape(256, -1)
    np.testing.assert_array_equal(found["classifier.0.weight"], fc6)
    np.testing.assert_array_equal(found["classifier.3.weight"], tensors["fc7/kernel"].T)
    with safe_open(tmp_path / "vgg16.safetensors", "numpy") as file:
        assert file.metadata()["format"] == "pt"
