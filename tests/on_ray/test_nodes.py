"""What a node must have."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.on_ray import runs
from vggfeat.ray.nodes import Needs, needs


@pytest.fixture
def needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Needs:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imgs").mkdir()
    (tmp_path / "feats").mkdir()
    sign = tmp_path / "feats" / "sign"
    sign.touch()
    names = ("imgs", "-", "s3://bucket/a.tar", "shards/{0..9}.tar")
    return needs(names, sign, runs.computation().settings("parquet"))


def test_a_node_like_the_driver_lacks_nothing(
    needed: Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    there: Needs = pickle.loads(pickle.dumps(needed))
    assert there.lacking() is None
    there.enter()
    assert Path.cwd() == tmp_path


def test_the_output_must_be_a_folder_that_it_shares(needed: Needs, tmp_path: Path) -> None:
    (tmp_path / "feats" / "sign").unlink()
    assert str(needed.lacking()).startswith(
        f"does not see the driver's {tmp_path / 'feats'}: -o must be a folder that all nodes share"
    )


def test_inputs_must_be_there_by_the_same_path(needed: Needs, tmp_path: Path) -> None:
    (tmp_path / "imgs").rmdir()
    assert str(needed.lacking()).startswith(f"does not see the driver's {tmp_path / 'imgs'}")


def test_versions_that_decide_on_bits_must_be_the_same(
    needed: Needs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vggfeat.ray.nodes.version", lambda name: "0.0.1")
    assert needed.lacking() == (
        f"has vggfeat 0.0.1, and the driver {needed.versions['vggfeat']}: install the same"
    )
    assert needed.versions.keys() == {"vggfeat", "numpy", "pillow", "ncnn"}
