"""The table of published files, against the libraries that publish them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from tests import torch_models
from vggfeat import WeightsError
from vggfeat.cli.weights import download
from vggfeat.weights import published


def test_keras_address_and_hash_are_those_of_the_installed_keras() -> None:
    from keras.src.applications import vgg16

    file = published.keras()
    assert file.url == vgg16.WEIGHTS_PATH
    assert file.digest == "md5:64373286793e3c8b2b4e3219cbf3544b"
    assert file.size == 553_467_096


def test_a_keras_that_says_it_differently_leads_to_importing_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "applications").mkdir(parents=True)
    (tmp_path / "src" / "applications" / "vgg16.py").write_text("WEIGHTS = {}")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(published.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsError, match=r"no WEIGHTS_PATH.*vggfeat weights import FILE"):
        published.keras()


def test_torchvisions_file_is_the_one_that_torchvision_names() -> None:
    weights = torch_models.torchvision().models.VGG16_Weights.IMAGENET1K_V1
    file = published.torchvision()
    assert file.url == weights.url
    assert file.digest is not None
    assert file.digest.startswith(f"sha256:{file.name[len('vgg16-') : -len('.pth')]}")
    assert round(file.size / 2**20, 3) == weights.meta["_file_size"]


def test_timms_file_is_in_the_place_that_timm_names() -> None:
    config = torch_models.timm().models.get_pretrained_cfg("vgg16.tv_in1k")
    assert published.timm().url.startswith(f"https://huggingface.co/{config.hf_hub_id}/resolve/")


@pytest.mark.parametrize("name", published.FILES)
def test_each_is_checked_by_a_hash_or_by_what_it_holds_and_comes_encrypted(name: str) -> None:
    file = published.FILES[name]()
    assert file.url.startswith("https://")
    if file.digest is None:
        assert file.size is not None
    else:
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.digest)
    assert "CC BY 4.0" in file.credit or "another training" in file.credit


def test_the_command_offers_all_of_them() -> None:
    (argument,) = (p for p in download.params if p.name == "name")
    assert isinstance(argument.type, click.Choice)
    assert list(argument.type.choices) == list(published.FILES)
