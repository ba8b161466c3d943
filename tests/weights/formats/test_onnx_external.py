"""ONNX models whose numbers are in files beside them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import networks
from tests.weights.formats import onnx_models as models
from tests.weights.formats.given import LAYERS, caffe
from tests.weights.formats.onnx_models import Model
from vggfeat import WeightsError

onnx = pytest.importorskip("onnx")


T = onnx.TensorProto


def external(model: Model, path: Path, location: str = "weights.bin", **changes: str) -> Path:
    """All numbers in a file of their own, at odd offsets; `changes` alters conv1_1's kernel."""
    data = bytearray(b"??")
    for tensor in model.constants:
        content = tensor.raw_data
        told = {"location": location, "offset": str(len(data)), "length": str(len(content))}
        data += content + b"?"
        if tensor.name == "c0":
            told |= changes
        tensor.ClearField("raw_data")
        tensor.data_location = T.EXTERNAL
        for key, value in told.items():
            if value != "none":
                tensor.external_data.add(key=key, value=value)
    if not (path.parent / "weights.bin").exists():
        (path.parent / "weights.bin").write_bytes(data)
    return model.write(path)


@pytest.mark.parametrize("changes", [{}, {"length": "none"}], ids=["with lengths", "without one"])
def test_numbers_in_a_file_beside_the_model(changes: dict[str, str], tmp_path: Path) -> None:
    path = external(models.vgg(LAYERS), tmp_path / "a.onnx", **changes)
    assert caffe(path).fingerprint == networks.weights().fingerprint


def test_numbers_in_a_folder_below_the_model(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = external(models.vgg(LAYERS), tmp_path / "a.onnx", "./data/numbers")
    os.replace(tmp_path / "weights.bin", tmp_path / "data" / "numbers")
    assert caffe(path).fingerprint == networks.weights().fingerprint


def test_external_data_as_onnx_itself_writes_it(tmp_path: Path) -> None:
    onnx.save_model(models.vgg(LAYERS).proto(), tmp_path / "a.onnx", save_as_external_data=True,
                    location="a.onnx.data", size_threshold=0)  # fmt: skip
    assert caffe(tmp_path / "a.onnx").fingerprint == networks.weights().fingerprint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"location": "../weights.bin"}, "no place below its own folder"),
        ({"location": "sub/../../weights.bin"}, "no place below its own folder"),
        ({"location": "/etc/passwd"}, "no place below its own folder"),
        ({"location": "..\\weights.bin"}, "no place below its own folder"),
        ({"location": "C:\\weights.bin"}, "no place below its own folder"),
        ({"location": ""}, "no place below its own folder"),
        ({"location": "none"}, "no place below its own folder"),
        ({"location": "."}, "not there beside it"),
        ({"location": "lost.bin"}, "not there beside it"),
        ({"location": "out.bin"}, "a link out of its own folder"),
        ({"location": "pipe"}, "not there beside it"),
        ({"offset": "99999999999"}, "beyond the end"),
        ({"offset": "9" * 400}, "damaged: an offset or length"),
        ({"offset": "-4"}, "damaged: an offset or length"),
        ({"length": "17"}, "17 bytes of external data for a tensor \\[4,3,3,3\\]"),
    ],
    ids=str,
)
def test_external_data_elsewhere_is_refused(
    changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = external(models.vgg(LAYERS), folder / "a.onnx", **changes)
    (tmp_path / "weights.bin").write_bytes((folder / "weights.bin").read_bytes())
    (folder / "out.bin").symlink_to(tmp_path / "weights.bin")
    os.mkfifo(folder / "pipe")
    with pytest.raises(WeightsError, match=f"^{path}: .*{said}"):
        caffe(path)
