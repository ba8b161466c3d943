"""What holds for every form that is written."""

from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.exports.networks import whole
from vggfeat import VggfeatError, exports
from vggfeat.errors import UsageError
from vggfeat.weights.formats import canonical

FILES = {name: f"vgg16{form.suffixes[0]}" for name, form in exports.FORMS.items()}
OF_TENSORFLOW = ("slim", "keras-model")
# On the size of files, in bytes: they stand for a full disk, since the system refuses a write.
LIMITS = [5000, 1 << 20]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("vgg_16.ckpt", "slim"),
        ("vgg16.h5", "keras"),
        ("vgg16.keras", "keras-model"),
        ("vgg16.PTH", "torch"),
        ("vgg16.pt", "torch"),
        ("vgg16.npz", "npz"),
        ("vgg16.onnx", "onnx"),
        ("vgg16.safetensors", "safetensors"),
    ],
)
def test_the_form_is_told_by_the_name(tmp_path: Path, name: str, form: str) -> None:
    assert exports.check_place(tmp_path / name) == form


def test_a_name_that_tells_nothing_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"add --format slim\|keras\|keras-model\|torch\|npz\|onnx\|s"
    ):
        exports.export(whole(), tmp_path / "vgg16.bin")
    exports.export(whole(), tmp_path / "vgg16.bin", "npz")
    with np.load(tmp_path / "vgg16.bin") as loaded:
        assert len(loaded.files) == 32


@pytest.mark.parametrize("form", exports.FORMS)
def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, form: str) -> None:
    path = tmp_path / FILES[form]
    exports.export(whole(), path, form)
    first = contents(tmp_path, form)
    for file in tmp_path.iterdir():
        file.write_bytes(b"older")
    exports.export(whole(), path, form)
    assert contents(tmp_path, form) == first
    assert len(first) == (2 if form == "slim" else 1)


def contents(folder: Path, form: str) -> dict[str, Any]:
    """Of each file; Keras writes the time into a model of its own."""
    if form != "keras-model":
        return {file.name: file.read_bytes() for file in folder.iterdir()}
    return {file.name: numbers_and_layers(file) for file in folder.iterdir()}


def numbers_and_layers(model: Path) -> list[bytes]:
    with zipfile.ZipFile(model) as archive:
        return [archive.read(name) for name in ("model.weights.h5", "config.json")]


@pytest.mark.parametrize("form", exports.FORMS)
def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path, form: str) -> None:
    path = tmp_path / "none" / FILES[form]
    with pytest.raises(VggfeatError) as caught:
        exports.export(whole(), path, form)
    assert str(caught.value) == f"{path}: cannot be written: No such file or directory"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", exports.FORMS)
def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path, form: str) -> None:
    path = tmp_path / FILES[form]
    path.mkdir()
    with pytest.raises(VggfeatError) as caught:
        exports.export(whole(), path, form)
    assert str(caught.value) == f"{path}: cannot be written: Is a directory"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("form", [form for form in exports.FORMS if form not in OF_TENSORFLOW])
def test_a_write_that_fails_midway_leaves_the_older_file(
    tmp_path: Path, form: str, limit: int
) -> None:
    """In a process of its own, which HDF5 could crash."""
    canonical.write(whole(), tmp_path / "given.safetensors")
    path = tmp_path / "out" / FILES[form]
    path.parent.mkdir()
    path.write_bytes(b"older")
    command = [sys.executable, "-m", "vggfeat", "weights", "export", "-f", form]
    done = subprocess.run(
        [*command, str(path), "-w", str(tmp_path / "given.safetensors")],
        capture_output=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr.decode()
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"vggfeat: {path}: cannot be written: ")
    assert line.endswith("File too large")
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("form", OF_TENSORFLOW)
def test_a_write_by_tensorflow_that_fails_midway_leaves_the_older_file(
    tmp_path: Path, form: str, limit: int, memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory is short, Keras gives HDF5 a file."""
    asked = "keras.src.saving.saving_lib.is_memory_sufficient"
    monkeypatch.setattr(asked, lambda model: memory, raising=False)
    exports.export(whole(), tmp_path / FILES[form], form)
    older = {file: file.read_bytes() for file in tmp_path.iterdir()}
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, kept[1]))
    try:
        with pytest.raises(VggfeatError) as caught:
            exports.export(whole(), tmp_path / FILES[form], form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / FILES[form]}: cannot be written: ")
    assert message.endswith("File too large")
    assert "\n" not in message
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == older
