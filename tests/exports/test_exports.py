"""What holds for every form that is written."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.exports.networks import whole
from vggfeat import VggfeatError, exports
from vggfeat.errors import UsageError
from vggfeat.weights.formats import canonical

FILES = {name: f"vgg16{form.suffixes[0]}" for name, form in exports.FORMS.items()}
MIB = 1 << 20


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("vgg_16.ckpt", "slim"),
        ("vgg16.h5", "keras"),
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
    with pytest.raises(UsageError, match=r"add --format slim\|keras\|torch\|npz\|onnx\|safetens"):
        exports.export(whole(), tmp_path / "vgg16.bin")
    exports.export(whole(), tmp_path / "vgg16.bin", "npz")
    with np.load(tmp_path / "vgg16.bin") as loaded:
        assert len(loaded.files) == 32


@pytest.mark.parametrize("form", exports.FORMS)
def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, form: str) -> None:
    path = tmp_path / FILES[form]
    exports.export(whole(), path, form)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for file in tmp_path.iterdir():
        file.write_bytes(b"older")
    exports.export(whole(), path, form)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first
    assert len(first) == (2 if form == "slim" else 1)


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


@pytest.mark.parametrize("limit", [5000, MIB])
@pytest.mark.parametrize("form", exports.FORMS)
def test_a_write_that_fails_midway_leaves_the_older_file(
    tmp_path: Path, form: str, limit: int
) -> None:
    """A limit on the size of files stands for a full disk: the system refuses a write."""
    canonical.write(whole(), tmp_path / "given.safetensors")
    folder = tmp_path / "out"
    folder.mkdir()
    older = [folder / FILES[form]]
    if form == "slim":
        older = [folder / f"{FILES[form]}{end}" for end in (".index", ".data-00000-of-00001")]
    for file in older:
        file.write_bytes(b"older")
    command = [sys.executable, "-m", "vggfeat", "weights", "export", "-f", form]
    done = subprocess.run(
        [*command, str(folder / FILES[form]), "-w", str(tmp_path / "given.safetensors")],
        capture_output=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr.decode()
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"vggfeat: {folder / FILES[form]}: cannot be written: ")
    assert line.endswith("File too large")
    assert sorted(folder.iterdir()) == sorted(older)
    assert all(file.read_bytes() == b"older" for file in older)
