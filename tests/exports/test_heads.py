"""Heads in every form, run by its own framework: what `head predict` gives comes out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests import networks, torch_models
from tests.exports.headed import CASES, CLASSES, FC7, Case, headed
from tests.exports.networks import assert_same, whole
from tests.exports.test_onnx import run as run_onnx
from tests.exports.test_slim import restored
from vggfeat import VggfeatError, exports
from vggfeat.errors import UsageError
from vggfeat.exports import heads
from vggfeat.head.file import softmax
from vggfeat.weights import formats

every_case = pytest.mark.parametrize("case", CASES, ids=str)
FILES = {name: f"flowers{form.suffixes[0]}" for name, form in exports.FORMS.items()}


def close(found: Any, case: Case) -> bool:
    expected = headed(case).probabilities
    assert found.shape == expected.shape
    return bool(np.abs(np.asarray(found) - expected).max() < 1e-5)


def exported(folder: Path, form: str, case: Case) -> Path:
    path = folder / FILES[form]
    exports.export(whole(), path, head=headed(case).head)
    return path


@every_case
def test_the_onnx_runtime_gives_the_probabilities(tmp_path: Path, case: Case) -> None:
    path = exported(tmp_path, "onnx", case)
    found = run_onnx(path, headed(case).crops)
    assert list(found) == ["logits", "probabilities"]
    assert close(found["probabilities"], case)
    assert close(softmax(found["logits"]), case)


@every_case
def test_onnx_finds_nothing_wrong_and_the_classes_are_in_the_model(
    tmp_path: Path, case: Case
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported(tmp_path, "onnx", case))
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, strict_mode=True)
    (entry,) = model.metadata_props
    assert (entry.key, tuple(json.loads(entry.value))) == ("classes", CLASSES)
    sides = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    assert sides == [0, case.size, case.size, 3]


@pytest.mark.parametrize("case", CASES[:5], ids=str)  # which cost a second each
def test_keras_loads_a_model_that_gives_the_probabilities(tmp_path: Path, case: Case) -> None:
    model = keras.models.load_model(exported(tmp_path, "keras-model", case))
    assert close(model(headed(case).crops, training=False), case)
    assert model.layers[-1].name == "predictions"
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_array_equal(kernel, headed(case).head.kernel)
    np.testing.assert_array_equal(bias, headed(case).head.bias)


def test_kerass_application_loads_a_head_as_its_weights(tmp_path: Path) -> None:
    model = networks.keras_vgg16(classes=4, seed=9)
    model.load_weights(exported(tmp_path, "keras", FC7))
    assert close(networks.keras_features(model, "predictions", headed(FC7).crops), FC7)


def test_slim_restores_a_head_as_fc8(tmp_path: Path) -> None:
    path = exported(tmp_path, "slim", FC7)
    assert close(softmax(restored(path, "vgg_16/fc8", crops=headed(FC7).crops, classes=4)), FC7)


def test_torchvision_loads_a_head_as_its_classifier(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = torch_models.narrow_vgg16(classes=4).eval()
    model.load_state_dict(torch.load(exported(tmp_path, "torch", FC7)), strict=True)
    mean = torch.tensor(networks.MEAN_RGB)[:, None, None]
    pixels = torch.from_numpy(headed(FC7).crops).permute(0, 3, 1, 2) - mean
    with torch.inference_mode():
        assert close(model(pixels).softmax(dim=1).numpy(), FC7)


@pytest.mark.parametrize("form", exports.FORMS)
def test_a_head_over_fc7_is_read_back_as_fc8_and_its_classes_are_named_beside(
    tmp_path: Path, form: str
) -> None:
    head = headed(FC7).head
    said = exports.export(whole(), tmp_path / FILES[form], head=head)
    expected = heads.as_fc8(whole(), head)
    assert_same(formats.read(tmp_path / FILES[form]), expected)
    np.testing.assert_array_equal(expected.tensors["fc8/kernel"], head.kernel)
    assert expected.describe().endswith("fc6, fc7, fc8 (4 classes)")
    named = (tmp_path / "flowers.classes.txt").read_bytes()
    assert named == "rose\ntulip\nété ".encode() + b"\xff\ntwo lines\n"
    assert said.endswith(f"; 4 classes, named in {tmp_path / 'flowers.classes.txt'}")
    assert len(list(tmp_path.iterdir())) == (3 if form == "slim" else 2)


@pytest.mark.parametrize("form", ["keras-model", "onnx"])
@pytest.mark.parametrize("case", [Case("fc7", "l2"), Case("pool5:avg")], ids=str)
def test_below_another_head_the_network_is_read_back(tmp_path: Path, form: str, case: Case) -> None:
    found = formats.read(exported(tmp_path, form, case)).tensors
    assert ("fc7/kernel" in found) == (case.layer == "fc7")
    assert not any(name.startswith("fc8") for name in found)
    for name, array in found.items():
        np.testing.assert_array_equal(array, whole().tensors[name], err_msg=name)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (Case("pool5:avg"), "pool5:avg"),
        (Case("fc7", "l2"), "l2 normalization"),
        (Case("fc6:linear", None, 260), "fc6:linear, images of 260 pixels"),
    ],
)
@pytest.mark.parametrize(
    "form", [name for name, form in exports.FORMS.items() if not form.is_graph]
)
def test_where_only_fc8_fits_another_head_is_refused(
    tmp_path: Path, form: str, case: Case, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        exported(tmp_path, form, case)
    assert str(caught.value) == (
        f"--format {form} holds no head but one in the place of fc8, over plain fc7 of 224 pixels; "
        f"this one takes {said}: export a .keras or .onnx file, or use vggfeat freeze"
    )
    assert not list(tmp_path.iterdir())


def test_a_head_of_other_weights_is_refused(tmp_path: Path) -> None:
    head = headed(FC7).head
    others = replace(head.recipe, fingerprint="0123456789" * 6, source="others")
    with pytest.raises(VggfeatError, match=r"not others \(01234567\): give those by --weights"):
        exports.export(whole(), tmp_path / "a.onnx", head=replace(head, recipe=others))
    assert not list(tmp_path.iterdir())


def test_without_fc8_a_head_takes_its_place_all_the_same(tmp_path: Path) -> None:
    weights = networks.weights(networks.without("fc8"))
    head = headed(FC7).head
    head = replace(head, recipe=replace(head.recipe, fingerprint=weights.fingerprint))
    exports.export(weights, tmp_path / "a.npz", head=head)
    np.testing.assert_array_equal(
        formats.read(tmp_path / "a.npz").tensors["fc8/kernel"], head.kernel
    )
