"""ONNX models, checked by onnx and run by ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
from vggfeat import Extractor, WeightsError, exports


def run(path: Path, crops: Any = CROPS) -> dict[str, Any]:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": crops}), strict=True))


@pytest.mark.parametrize(
    "made",
    [whole, lambda: with_mean(OTHER_MEAN), lambda: with_mean(TORCH_MEAN)],
    ids=["Oxford's mean", "another mean", "torch's mean"],
)
def test_the_runtime_gives_every_layer_that_we_give(tmp_path: Path, made: Any) -> None:
    weights = made()
    said = exports.export(weights, tmp_path / "vgg16.onnx")
    found = run(tmp_path / "vgg16.onnx")
    assert list(found) == ["fc6", "fc7", "logits"]
    assert relative_error(found["fc6"], Extractor(weights, "fc6")(CROPS)) < 1e-5
    fc7 = Extractor(weights)(CROPS)
    assert relative_error(found["fc7"], fc7) < 1e-5
    logits = fc7 @ weights.tensors["fc8/kernel"] + weights.tensors["fc8/bias"]
    assert relative_error(found["logits"], logits) < 1e-5
    assert said.endswith("input images uint8 [n,224,224,3] RGB, outputs fc6, fc7, logits")


def test_without_fc8_there_are_no_logits(tmp_path: Path) -> None:
    exports.export(without_fc8(), tmp_path / "features.onnx")
    found = run(tmp_path / "features.onnx")
    assert list(found) == ["fc6", "fc7"]
    assert relative_error(found["fc7"], Extractor(without_fc8())(CROPS)) < 1e-5


def test_without_connected_layers_there_is_pool5(tmp_path: Path) -> None:
    exports.export(convolutions(), tmp_path / "pool5.onnx")
    found = run(tmp_path / "pool5.onnx")
    assert list(found) == ["pool5"]
    assert found["pool5"].shape == (3, 7, 7, 32)
    assert relative_error(found["pool5"], Extractor(convolutions(), "pool5")(CROPS)) < 1e-5


def test_one_image_is_a_batch_too(tmp_path: Path) -> None:
    exports.export(whole(), tmp_path / "vgg16.onnx")
    assert run(tmp_path / "vgg16.onnx", CROPS[:1])["fc7"].shape == (1, 256)


@pytest.mark.parametrize("made", [whole, without_fc8, convolutions])
def test_onnx_finds_nothing_wrong_with_it(tmp_path: Path, made: Any) -> None:
    onnx = pytest.importorskip("onnx")
    exports.export(made(), tmp_path / "vgg16.onnx")
    model = onnx.load(tmp_path / "vgg16.onnx")
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    assert [output.name for output in inferred.graph.output] == list(run(tmp_path / "vgg16.onnx"))
    assert model.ByteSize() == (tmp_path / "vgg16.onnx").stat().st_size


def test_more_than_2_gb_are_refused_before_a_file_is_made(tmp_path: Path) -> None:
    """fc8 of two million classes, of one zero that is looked at from everywhere."""
    classes = 1 << 21
    huge = {
        "fc8/kernel": np.broadcast_to(np.float32(0), (256, classes)),
        "fc8/bias": np.broadcast_to(np.float32(0), (classes,)),
    }
    weights = replace(whole(), tensors={**whole().tensors, **huge})
    with pytest.raises(WeightsError, match="an ONNX file holds 2 GB at the most"):
        exports.export(weights, tmp_path / "vgg16.onnx")
    assert not list(tmp_path.iterdir())
