"""State dicts that PyTorch and torchvision load."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import torch_models
from tests.exports.networks import (
    CROPS,
    OTHER_MEAN,
    TORCH_MEAN,
    convolutions,
    whole,
    with_mean,
    without_fc8,
)
from tests.networks import relative_error
from vggfeat import Extractor, exports, vgg16
from vggfeat.weights import formats

torch = pytest.importorskip("torch")


def fc7_of(model: Any, pixels: Any) -> NDArray[np.float32]:
    """After its ReLU, with torchvision's own flatten."""
    with torch.inference_mode():
        pool5 = model.avgpool(model.features(pixels)).flatten(1)
        found: NDArray[np.float32] = model.eval().classifier[:5](pool5).numpy()
        return found


def pixels_of(mean: tuple[float, float, float]) -> Any:
    """As `Normalize(mean=mean / 255, std=[1 / 255] * 3)` gives them."""
    unit = torch.from_numpy(CROPS).permute(0, 3, 1, 2) / 255
    return (unit - torch.tensor(mean)[:, None, None] / 255) / (1 / 255)


@pytest.mark.parametrize("mmap", [False, True])
def test_torchvision_loads_it_strictly_and_gives_the_same_fc7(tmp_path: Path, mmap: bool) -> None:
    said = exports.export(whole(), tmp_path / "vgg16.pth")
    state = torch.load(tmp_path / "vgg16.pth", weights_only=True, mmap=mmap)
    model = torch_models.narrow_vgg16()
    model.load_state_dict(state, strict=True)
    found = fc7_of(model, pixels_of((123.68, 116.779, 103.939)))
    assert relative_error(found, Extractor(whole())(CROPS)) < 1e-5
    mean = "0.4850196, 0.4579569, 0.4076039"
    assert said.endswith(f"prepare pixels with Normalize(mean=[{mean}], std=[1 / 255] * 3)")


def test_classes_go_with_it(tmp_path: Path) -> None:
    exports.export(whole(), tmp_path / "vgg16.pth")
    state = torch.load(tmp_path / "vgg16.pth", weights_only=True)
    tensors = whole().tensors
    np.testing.assert_array_equal(state["classifier.6.weight"].numpy().T, tensors["fc8/kernel"])
    np.testing.assert_array_equal(state["classifier.6.bias"].numpy(), tensors["fc8/bias"])


def test_with_torchs_mean_the_usual_normalize_holds(tmp_path: Path) -> None:
    weights = with_mean(TORCH_MEAN)
    said = exports.export(weights, tmp_path / "vgg16.pth")
    model = torch_models.narrow_vgg16()
    model.load_state_dict(torch.load(tmp_path / "vgg16.pth", weights_only=True))
    found = fc7_of(model, torch_models.torch_pixels(CROPS))
    assert relative_error(found, Extractor(weights)(CROPS)) < 1e-5
    assert said.endswith("Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])")


def test_any_other_mean_is_said(tmp_path: Path) -> None:
    weights = with_mean(OTHER_MEAN)
    said = exports.export(weights, tmp_path / "vgg16.pt")
    assert "mean=[0.4078431, 0.4588235, 0.4823529]" in said
    model = torch_models.narrow_vgg16()
    model.load_state_dict(torch.load(tmp_path / "vgg16.pt", weights_only=True))
    found = fc7_of(model, pixels_of(OTHER_MEAN))
    assert relative_error(found, Extractor(weights)(CROPS)) < 1e-5


def test_what_the_weights_lack_is_not_in_it(tmp_path: Path) -> None:
    exports.export(without_fc8(), tmp_path / "a.pth")
    exports.export(convolutions(), tmp_path / "b.pth")
    wanted = set(torch_models.narrow_vgg16().state_dict())
    classes = {"classifier.6.weight", "classifier.6.bias"}
    assert set(torch.load(tmp_path / "a.pth", weights_only=True)) == wanted - classes
    convolutional = {name for name in wanted if name.startswith("features.")}
    assert set(torch.load(tmp_path / "b.pth", weights_only=True)) == convolutional
    assert len(convolutional) == 2 * len(vgg16.CONVOLUTIONS)


def test_its_entries_are_as_torch_writes_them(tmp_path: Path) -> None:
    exports.export(whole(), tmp_path / "vgg16.pth")
    with zipfile.ZipFile(tmp_path / "vgg16.pth") as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
        operations = list(pickletools.genops(archive.read("archive/data.pkl")))
    assert all(info.compress_type == zipfile.ZIP_STORED for info in infos)
    named = {argument for code, argument, _ in operations if code.name == "GLOBAL"}
    assert named == {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch FloatStorage",
    }
    data = (tmp_path / "vgg16.pth").read_bytes()
    for info in infos:
        name, extra = (
            int.from_bytes(data[info.header_offset + at : info.header_offset + at + 2], "little")
            for at in (26, 28)
        )
        assert (info.header_offset + 30 + name + extra) % 64 == 0


def test_torchs_scale_is_read_back_but_for_the_rounding_of_conv1_1(tmp_path: Path) -> None:
    weights = with_mean(TORCH_MEAN)
    exports.export(weights, tmp_path / "vgg16.pth")
    found = formats.read(tmp_path / "vgg16.pth").tensors
    for name, array in weights.tensors.items():
        tolerance = 2e-7 if name == "conv1_1/kernel" else 0
        np.testing.assert_allclose(found[name], array, rtol=tolerance, err_msg=name)
