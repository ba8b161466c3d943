"""The classes of ImageNet, against those that other packages have."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path

import pytest

from vggfeat import imagenet


def folder_of(package: str) -> Path:
    """Without importing it, which would load its framework."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent


def test_ids_are_those_of_timm_in_its_order() -> None:
    listed = folder_of("timm") / "data" / "_info" / "imagenet_synsets.txt"
    assert [entry.wnid for entry in imagenet.classes()] == listed.read_text().split()


def test_names_are_those_of_torchvision_in_its_order() -> None:
    meta = runpy.run_path(str(folder_of("torchvision") / "models" / "_meta.py"))
    unlike = {
        number: name
        for number, (entry, name) in enumerate(
            zip(imagenet.classes(), meta["_IMAGENET_CATEGORIES"], strict=True)
        )
        if name.lower() not in entry.name.lower().split(", ")
    }
    assert unlike == {134: "crane bird", 517: "crane", 639: "maillot tank suit"}


def test_each_name_is_of_one_class() -> None:
    names = [entry.name for entry in imagenet.classes()]
    assert len(set(names)) == len(names) == 1000
    ids = [entry.wnid for entry in imagenet.classes()]
    assert ids == sorted(set(ids))
    assert names[281] == "tabby, tabby cat"  # as Keras' decode_predictions has it
    assert names[999].startswith("toilet tissue")


def test_other_numbers_of_classes_have_no_names() -> None:
    assert [entry.name for entry in imagenet.named(3)] == ["class 0", "class 1", "class 2"]
    assert imagenet.named(1000) is imagenet.classes()
    assert len(imagenet.named(1001)) == 1001
