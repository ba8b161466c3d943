"""`vggfeat merge`: a folder of parts as one file."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest

from tests.cli.inside import run as vggfeat
from tests.dataset.made import in_parts_of_three, pictures
from vggfeat import VggfeatError, load_features
from vggfeat.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_parts_of_three(tmp_path, monkeypatch)
    for name in ("imgs/0.ppm", "imgs/4.ppm"):
        Path(name).write_bytes(b"")
        os.utime(name, (5, 5))


def same(merged: str, one: str) -> None:
    for end in ("npy", "index.csv", "failed.csv"):
        assert Path(f"{merged}.{end}").read_bytes() == Path(f"{one}.{end}").read_bytes()


@pytest.mark.parametrize("form", ["parquet", "npy"])
def test_it_is_what_one_run_gives_and_a_later_run_goes_on(form: str) -> None:
    vggfeat("extract", "imgs", "-o", "feats/", "--format", form, code=3)
    done = vggfeat("merge", "feats/", "-o", "merged.npy")
    assert done.stderr.splitlines() == [
        "vggfeat: merged.npy: fc7 of 6 images, float32 [6,5]",
        "vggfeat: 2 images failed: see merged.failed.csv",
    ]
    vggfeat("extract", "imgs", "-o", "one.npy", code=3)
    same("merged", "one")
    done = vggfeat("extract", "imgs", "-o", "merged.npy", code=3)
    assert "nothing to compute, 6 kept" in done.stderr
    same("merged", "one")
    assert load_features("merged.npy").paths == [f"imgs/{n}.ppm" for n in (1, 2, 3, 5, 6, 7)]


def test_a_second_merge_writes_only_what_is_new() -> None:
    vggfeat("extract", "imgs", "-o", "feats/", code=3)
    vggfeat("merge", "feats", "-o", "merged.npy", "-q")
    inode = os.stat("merged.npy").st_ino
    vggfeat("merge", "feats", "-o", "merged.npy", "-q")
    pictures("imgs", 2, first=8)
    vggfeat("extract", "imgs", "-o", "feats/", code=3)
    vggfeat("merge", "feats", "-o", "merged.npy", "-q")
    assert os.stat("merged.npy").st_ino == inode
    vggfeat("extract", "imgs", "-o", "one.npy", code=3)
    same("merged", "one")


def test_several_layers_have_their_files() -> None:
    layers = ("--layer", "fc7", "--layer", "pool5")
    vggfeat("extract", "imgs", "-o", "feats/", *layers, code=3)
    vggfeat("merge", "feats/", "-o", "merged.npy")
    vggfeat("extract", "imgs", "-o", "one.npy", *layers, code=3)
    for layer in ("fc7", "pool5"):
        assert Path(f"merged.{layer}.npy").read_bytes() == Path(f"one.{layer}.npy").read_bytes()
    assert np.load("merged.pool5.npy").shape == (6, 7, 7, 4)


def test_csv_too() -> None:
    vggfeat("extract", "imgs", "-o", "feats/", code=3)
    vggfeat("merge", "feats/", "-o", "merged.csv")
    vggfeat("extract", "imgs", "-o", "one.csv", code=3)
    assert Path("merged.csv").read_bytes() == Path("one.csv").read_bytes()
    with open("merged.csv") as lines:
        assert len(list(csv.reader(lines))) == 7


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: os.unlink("feats/_vggfeat.json"), "there is no _vggfeat.json in it"),
        (
            lambda: os.rename("feats/_vggfeat.json", "feats/_unfinished.json"),
            "_vggfeat.json is missing: not all parts are done",
        ),
        (lambda: os.unlink("feats/part-00001.parquet"), "part-00001.parquet: is missing"),
        (lambda: os.unlink("feats/_failed/part-00001.parquet"), "part-00001.parquet: is missing"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(damage: object, message: str) -> None:
    vggfeat("extract", "imgs", "-o", "feats/", code=3)
    damage()  # type: ignore[operator]
    with pytest.raises(VggfeatError, match=re.escape(message)):
        vggfeat("merge", "feats/", "-o", "merged.npy")
    assert not os.path.exists("merged.npy")


def test_what_is_another_files_place_is_refused() -> None:
    vggfeat("extract", "imgs", "-o", "feats/", code=3)
    Path("mine.npy").write_bytes(b"mine")
    with pytest.raises(VggfeatError, match="was not written by vggfeat"):
        vggfeat("merge", "feats/", "-o", "mine.npy")
    assert Path("mine.npy").read_bytes() == b"mine"


def test_the_folder_of_images_is_no_dataset() -> None:
    with pytest.raises(VggfeatError, match="it is no folder of vggfeat's"):
        vggfeat("merge", "imgs", "-o", "merged.npy")


@pytest.mark.parametrize("output", ["-", "other/"])
def test_only_files_are_written(output: str) -> None:
    with pytest.raises(UsageError, match=f"-o {output}: merge writes a file: give a name"):
        vggfeat("merge", "feats/", "-o", output)


def test_a_folder_that_is_not_there_is_told_so() -> None:
    with pytest.raises(VggfeatError, match="nix/: no such folder, or nothing is in it"):
        vggfeat("merge", "nix/", "-o", "merged.npy")


def test_rows_of_other_settings_are_replaced_and_it_says_so() -> None:
    vggfeat("extract", "imgs", "-o", "feats/", code=3)
    vggfeat("extract", "imgs", "-o", "merged.npy", "--normalize", "l2", code=3)
    done = vggfeat("merge", "feats/", "-o", "merged.npy")
    first = done.stderr.splitlines()[0]
    assert first == "vggfeat: all rows there are replaced: normalize none, not l2"
