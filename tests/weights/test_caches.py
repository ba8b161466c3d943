"""Files that Keras, torch and Hugging Face's libraries have downloaded before, found where those
look for them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from vggfeat import WeightsError
from vggfeat.weights import caches
from vggfeat.weights.published import PublishedFile

CONTENT = b"the published file"
HUB = Path("models--timm--vgg16.tv_in1k") / "snapshots" / "b8d8aa2d"


@pytest.fixture(autouse=True)
def bare(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any of the variables that lead elsewhere."""
    for name in (
        "VGGFEAT_MIRROR", "KERAS_HOME", "TORCH_HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    return home


def file(name: str) -> PublishedFile:
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return PublishedFile(f"https://weights.invalid/{name}", digest, len(CONTENT))


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "variable", "value", "place"),
    [
        ("keras", None, "", ".keras/models"),
        ("keras", "KERAS_HOME", "k", "k/models"),
        ("torchvision", None, "", ".cache/torch/hub/checkpoints"),
        ("torchvision", None, "", ".cache/torch/checkpoints"),
        ("torchvision", None, "", ".torch/models"),
        ("torchvision", "XDG_CACHE_HOME", "x", "x/torch/hub/checkpoints"),
        ("torchvision", "TORCH_HOME", "t", "t/hub/checkpoints"),
        ("timm", None, "", ".cache/huggingface/hub" / HUB),
        ("timm", "XDG_CACHE_HOME", "x", "x/huggingface/hub" / HUB),
        ("timm", "HF_HOME", "h", "h/hub" / HUB),
        ("timm", "HF_HUB_CACHE", "c", "c" / HUB),
    ],
)
def test_each_library_is_asked_where_it_keeps_files(
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variable: str | None,
    value: str,
    place: str | Path,
) -> None:
    if variable:
        monkeypatch.setenv(variable, str(bare / value))
    wanted = file("model.safetensors")
    assert caches.find(name, wanted) is None
    path = put(bare / place / "model.safetensors")
    assert caches.find(name, wanted) == path


def test_torch_itself_keeps_files_there(bare: Path) -> None:
    hub = pytest.importorskip("torch.hub")
    path = put(Path(hub.get_dir()) / "checkpoints" / "vgg16-397923af.pth")
    assert caches.find("torchvision", file("vgg16-397923af.pth")) == path


@pytest.mark.parametrize("content", [b"", b"half", CONTENT[::-1]])
def test_a_damaged_copy_is_passed_over_for_a_whole_one(bare: Path, content: bytes) -> None:
    put(bare / ".cache/torch/hub/checkpoints/vgg16.pth", content)
    assert caches.find("torchvision", file("vgg16.pth")) is None
    older = put(bare / ".torch/models/vgg16.pth")
    assert caches.find("torchvision", file("vgg16.pth")) == older


def test_what_is_no_file_or_cannot_be_read_is_passed_over(bare: Path) -> None:
    models = bare / ".keras" / "models"
    models.mkdir(parents=True)
    os.mkfifo(models / "pipe.h5")
    (models / "folder.h5").mkdir()
    (models / "nowhere.h5").symlink_to(bare / "none")
    for name in ("pipe.h5", "folder.h5", "nowhere.h5"):
        assert caches.find("keras", replace(file(name), size=None)) is None


def test_without_a_hash_the_size_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGGFEAT_MIRROR", str(tmp_path))
    wanted = replace(file("a.tar.gz"), digest=None)
    path = put(tmp_path / "a.tar.gz")
    assert caches.find("slim", wanted) == path
    put(path, CONTENT[1:])
    assert caches.find("slim", wanted) is None


def test_a_pytorch_file_of_hugging_face_proves_itself_by_its_name(bare: Path) -> None:
    hub = bare / ".cache" / "huggingface" / "hub"
    content = b"pytorch's form of it"
    blobs = hub / "models--timm--vgg16.tv_in1k" / "blobs"
    blob = put(blobs / hashlib.sha256(content).hexdigest(), content)
    link = hub / HUB / "pytorch_model.bin"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    assert caches.find("timm", file("model.safetensors")) == link
    blob.write_bytes(content[:-1])
    assert caches.find("timm", file("model.safetensors")) is None
    link.unlink()
    put(link, content)
    assert caches.find("timm", file("model.safetensors")) is None


@pytest.mark.parametrize("as_address", [True, False])
def test_a_mirrors_folder_goes_before_any_cache(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_address: bool
) -> None:
    put(bare / ".keras/models/a.h5")
    mirror = put(tmp_path / "our mirror" / "a.h5")
    folder = mirror.parent
    monkeypatch.setenv("VGGFEAT_MIRROR", folder.as_uri() if as_address else str(folder))
    assert caches.find("keras", file("a.h5")) == mirror
    assert caches.mirror_url() is None
    mirror.write_bytes(b"harmed")
    assert caches.find("keras", file("a.h5")) == bare / ".keras/models/a.h5"


def test_a_mirror_of_no_known_kind_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGGFEAT_MIRROR", "ftp://mirror.invalid/")
    with pytest.raises(WeightsError, match="VGGFEAT_MIRROR is ftp://.*, expected http"):
        caches.find("keras", file("a.h5"))
