"""ONNX models that torch exports, torchvision's and timm's, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import networks, torch_models
from tests.networks import relative_error
from tests.weights.formats.given import CROPS
from vggfeat import Extractor, vgg16
from vggfeat.weights import formats

onnx = pytest.importorskip("onnx")


def torch_fc7(model: Any, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    import torch

    pixels = torch_models.torch_pixels(crops).float()
    with torch.no_grad():
        pool5 = torch.flatten(model.avgpool(model.features(pixels)), 1)
        return np.asarray(model.classifier[:5](pool5))


def exported(model: Any, path: Path, **options: Any) -> Path:
    import torch

    model.eval()
    torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), path, **options)
    return path


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("opset", [9, 13, 17])
def test_torchs_older_exporter(norm: bool, opset: int, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    model = torch_models.narrow_vgg16(norm=norm)
    path = exported(model, tmp_path / "vgg16.onnx", dynamo=False, opset_version=opset)
    weights = formats.read(path)
    assert (weights.origin.channels, weights.origin.scale) == ("rgb", "torch")
    assert weights.origin.decided == "declared by torchvision's names"
    assert weights.layers == vgg16.LAYERS
    assert relative_error(Extractor(weights)(CROPS), torch_fc7(model, CROPS)) < 1e-5


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
def test_torchs_newer_exporter(norm: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model = torch_models.narrow_vgg16(norm=norm)
    weights = formats.read(exported(model, tmp_path / "vgg16.onnx", dynamo=True))
    assert (weights.origin.channels, weights.origin.scale) == ("rgb", "torch")
    assert relative_error(Extractor(weights)(CROPS), torch_fc7(model, CROPS)) < 1e-5


def test_batch_normalisation_that_stays_in_the_graph(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = torch_models.narrow_vgg16(norm=True)
    path = exported(
        model, tmp_path / "vgg16.onnx", dynamo=False, do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
    )  # fmt: skip
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("BatchNormalization") == 13
    assert relative_error(Extractor(formats.read(path))(CROPS), torch_fc7(model, CROPS)) < 1e-5


def test_timms_connected_layers_are_convolutions(tmp_path: Path) -> None:
    timm = torch_models.timm()
    import torch

    plan = [width // networks.FRACTION if width != "M" else width
            for block in vgg16.BLOCKS for width in (*block.values(), "M")]  # fmt: skip
    model = timm.models.vgg.VGG(plan, num_classes=10)
    model.pre_logits.fc1 = torch.nn.Conv2d(32, 256, 7)
    model.pre_logits.fc2 = torch.nn.Conv2d(256, 256, 1)
    model.head.fc = torch.nn.Linear(256, 10)
    torch_models.randomised(model)
    weights = formats.read(exported(model, tmp_path / "timm.onnx", dynamo=False))
    assert weights.layers == vgg16.LAYERS
    with torch.no_grad():
        maps = model.features(torch_models.torch_pixels(CROPS).float())
        expected = np.asarray(model.pre_logits(maps).flatten(1))
    assert relative_error(Extractor(weights)(CROPS), expected) < 1e-5


def test_a_normalisation_exported_with_the_network_is_understood(tmp_path: Path) -> None:
    """uint8 N,H,W,C pictures in, mean and deviation inside."""
    torch = pytest.importorskip("torch")
    vgg = torch_models.narrow_vgg16()

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vgg = vgg

        def forward(self, images: Any) -> Any:
            pixels = images.permute(0, 3, 1, 2).float() / 255
            mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
            std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
            return self.vgg((pixels - mean) / std)

    path = tmp_path / "whole.onnx"
    example = torch.zeros(1, 224, 224, 3, dtype=torch.uint8)
    torch.onnx.export(Whole().eval(), (example,), path, dynamo=False)
    weights = formats.read(path)
    assert weights.origin.decided == "declared by the preprocessing inside the graph"
    assert (weights.origin.channels, weights.origin.scale) == ("rgb", "torch")
    assert relative_error(Extractor(weights)(CROPS), torch_fc7(vgg, CROPS)) < 1e-5
