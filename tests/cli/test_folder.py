"""`vggfeat extract -o feats/`: what a user sees of a folder of parts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest

from tests.cli.command import lines
from tests.cli.command import vggfeat as command
from tests.cli.inside import run as vggfeat
from tests.dataset.made import in_parts_of_three
from vggfeat.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_parts_of_three(tmp_path, monkeypatch)


def test_a_run_tells_of_its_parts() -> None:
    (line,) = vggfeat("extract", "imgs", "-o", "feats/").stderr.splitlines()
    assert line.startswith("vggfeat: feats/: fc7 of 8 images, float32 [8,5], in 3 parts, in ")
    (line,) = vggfeat("extract", "imgs", "-o", "feats/").stderr.splitlines()
    assert line.endswith("in 3 parts, nothing to compute, 8 kept")


def test_each_layer_is_a_column() -> None:
    done = vggfeat("extract", "imgs", "-o", "feats/", "--layer", "fc7", "--layer", "pool5:avg")
    first, last = done.stderr.splitlines()
    assert first == "vggfeat: feats/: pool5:avg of 8 images, float32 [8,4]"
    assert last.startswith("vggfeat: feats/: fc7 of 8 images, float32 [8,5], in 3 parts, in ")


def test_failures_are_told_with_their_place_and_the_exit_code() -> None:
    Path("imgs/1.ppm").write_bytes(b"")
    for form, place in (("parquet", "_failed/"), ("npy", "part-*.failed.csv")):
        done = vggfeat("extract", "imgs", "-o", f"{form}/", "--format", form, code=3)
        assert done.stderr.splitlines()[0] == "vggfeat: imgs/1.ppm: the file is empty"
        assert done.stderr.splitlines()[-1] == f"vggfeat: 1 image failed: see {form}/{place}"


def test_shards_tell_whose_turn_it_is() -> None:
    done = vggfeat("extract", "imgs", "-o", "feats/", "--shard", "1/2")
    first, last = done.stderr.splitlines()
    assert first.startswith("vggfeat: feats/: fc7 of 3 images, float32 [3,5], in 1 of 3 parts, in")
    assert last == (
        "vggfeat: feats/: others have parts to do yet: the process that does the last one writes "
        "_vggfeat.json"
    )
    (line,) = vggfeat("extract", "imgs", "-o", "feats/", "--shard", "0/2").stderr.splitlines()
    assert "in 2 of 3 parts" in line


def test_ray_takes_a_value_only_by_an_equals_sign() -> None:
    """So that it does not swallow an input."""
    with pytest.raises(UsageError, match="--ray is for a folder of parts: end -o in /"):
        vggfeat("extract", "--ray", "imgs", "-o", "feats.npy")
    with pytest.raises(click.UsageError, match="write --ray=10.0.0.1:6379"):
        vggfeat("extract", "--ray", "10.0.0.1:6379", "imgs", "-o", "feats/")
    with pytest.raises(UsageError, match="--shard with --ray: Ray deals the parts out by itself"):
        vggfeat("extract", "imgs", "-o", "feats/", "--ray=10.0.0.1:6379", "--shard", "0/2")
    with pytest.raises(UsageError, match="--devices with --ray: Ray gives out the GPUs"):
        vggfeat("extract", "imgs", "-o", "feats/", "--ray", "--devices", "0")


def test_a_shard_of_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="--shard is for a folder of parts: end -o in /"):
        vggfeat("extract", "imgs", "-o", "feats.npy", "--shard", "0/2")


def test_a_list_on_stdin_flows_into_parts() -> None:
    listed = b"\0".join(os.fsencode(f"imgs/{number}.ppm") for number in (7, 0, 2, 5))
    done = command("extract", "-0", "-", "-o", "feats/", "--engine", "ncnn", input=listed)
    assert "fc7 of 4 images, float32 [4,5], in 1 part," in lines(done.stderr)[-1]
    about = json.loads(Path("feats/_vggfeat.json").read_bytes())
    assert (about["rows"], len(about["parts"])) == (4, 1)
