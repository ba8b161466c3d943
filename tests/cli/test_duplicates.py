"""`vggfeat duplicates`."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from tests import networks
from tests.cli.command import vggfeat
from tests.cli.inside import run
from vggfeat import extract
from vggfeat.errors import UsageError

ODD = os.fsdecode(b"imgs/3\xff, copy.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of a, its brighter twin and its copy, and of two others."""
    folder = tmp_path_factory.mktemp("duplicates")
    (folder / "imgs").mkdir()
    a, b, c = networks.pictures(3)
    twin = np.clip(a.astype(int) + 3, 0, 255).astype(np.uint8)
    for name, pixels in (("1.png", a), ("2.png", b), (ODD[5:], a), ("4.png", c), ("5.png", twin)):
        Image.fromarray(pixels).save(folder / "imgs" / name)
    before = Path.cwd()
    os.chdir(folder)
    extract("imgs", "feats.npy", weights=networks.weights(), layer="pool5")
    os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_group_is_its_first_picture_and_those_like_it() -> None:
    done = run("duplicates", "feats.npy")
    header, first, copy, twin = done.stdout.splitlines()
    assert header == b"group,similarity,path"
    assert first == b"1,1,imgs/1.png"
    assert copy == b'1,1,"imgs/3\xff, copy.png"'
    group, similarity, path = twin.split(b",")
    assert (group, path) == (b"1", b"imgs/5.png")
    assert 0.98 < float(similarity) < 1
    assert done.stderr == "vggfeat: groups: 1, with 3 of 5 pictures\n"
    assert run("duplicates", "feats.npy", "-q").stderr == ""


def test_threshold_1_leaves_equal_ones_and_paths_are_those_that_may_go() -> None:
    done = run("duplicates", "feats.npy", "--threshold", "1", "--format", "paths", "-0")
    assert done.stdout == b"imgs/3\xff, copy.png\0"


def may_go() -> tuple[list[str], str]:
    done = run("duplicates", "feats.npy", "--format", "paths", "-0")
    return [os.fsdecode(path) for path in done.stdout.split(b"\0")[:-1]], done.stderr


def test_a_second_name_of_the_first_ones_file_may_not_go(tmp_path: Path) -> None:
    os.symlink("imgs", "0_same")
    os.symlink("1.png", "imgs/0.png")
    extract([".", "imgs/2.png"], "feats.npy", weights=networks.weights(), layer="pool5")
    before = {file.read_bytes() for file in tmp_path.glob("imgs/*")}
    paths, told = may_go()
    assert [os.path.basename(path) for path in paths] == [os.path.basename(ODD), "5.png"]
    for path in paths:
        os.remove(path)
    assert len(before) - len({file.read_bytes() for file in tmp_path.glob("imgs/*")}) == 1  # 5.png
    assert "not listed" not in told


@pytest.mark.parametrize("gone", ["1.png", "3"])
@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_no_file_may_go_that_is_another_one_now_or_the_last(gone: str, how: str) -> None:
    file = ODD if gone == "3" else f"imgs/{gone}"
    if how == "replaced":
        shutil.copy("imgs/4.png", file)
    else:
        os.remove(file)
    paths, told = may_go()
    assert paths == (["imgs/5.png"] if gone == "3" else [])
    assert f"pictures not listed: {1 if gone == '3' else 2};" in told


def test_files_that_were_only_touched_may_go() -> None:
    for name in os.listdir("imgs"):
        os.utime(f"imgs/{name}", (1, 1))
    assert may_go() == ([ODD, "imgs/5.png"], "vggfeat: groups: 1, with 3 of 5 pictures\n")


def test_files_of_the_same_name_in_another_folder_may_not_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other" / "imgs").mkdir(parents=True)
    for name in ("1.png", os.path.basename(ODD), "5.png"):
        shutil.copy("imgs/2.png", tmp_path / "other" / "imgs" / name)
    monkeypatch.chdir("other")
    done = run("duplicates", "../feats.npy", "--format", "paths")
    assert done.stdout == b""
    assert "pictures not listed: 2;" in done.stderr


def test_pairs_come_the_most_similar_first() -> None:
    done = run("duplicates", "feats.npy", "--pairs", "-o", "pairs.json")
    assert done.stderr == "vggfeat: pairs: 3, among 5 pictures\n"
    told = json.loads(Path("pairs.json").read_bytes())
    assert [(pair["path"], pair["other"]) for pair in told] == [
        ("imgs/1.png", ODD), ("imgs/1.png", "imgs/5.png"), (ODD, "imgs/5.png"),
    ]  # fmt: skip
    assert told[0]["similarity"] == 1
    assert told[1]["similarity"] == told[2]["similarity"]


NOTHING = {"csv": b"group,similarity,path\n", "json": b"[\n]\n", "table": b"", "paths": b""}


@pytest.mark.parametrize(("form", "empty"), NOTHING.items())
def test_nothing_found_is_no_error(form: str, empty: bytes) -> None:
    extract(["imgs/1.png", "imgs/2.png"], "two.npy", weights=networks.weights(), layer="pool5")
    assert run("duplicates", "two.npy", "--format", form).stdout == empty


def test_a_table_for_people_and_a_page() -> None:
    done = run("duplicates", "feats.npy", "--format", "table", "--html", "d.html")
    title, *lines = done.stdout.decode("utf-8").splitlines()
    assert title == "group 1"
    assert lines[:2] == ["  1.0000  imgs/1.png", "  1.0000  imgs/3\ufffd, copy.png"]
    os.remove("imgs/5.png")
    page = Path("d.html").read_text()
    assert (page.count("<section>"), page.count("<img ")) == (1, 3)
    run("duplicates", "feats.npy", "--pairs", "--format", "table", "--html", "d.html")
    page = Path("d.html").read_text()
    assert (page.count("<section>"), page.count("<img "), page.count("No such file")) == (3, 4, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--threshold", "-1"),
        ("--threshold", "1.01"),
        ("--threshold", "nan"),
        ("-0",),
        ("--pairs", "--format", "paths"),
        ("--html", "./same", "-o", "same"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(wrong: tuple[str, ...]) -> None:
    with pytest.raises((click.UsageError, UsageError)):
        run("duplicates", "feats.npy", *wrong)


def test_features_that_are_missing_are_named_in_one_line() -> None:
    done = vggfeat("duplicates", "none.npy", code=1)
    assert done.stdout == b""
    assert done.stderr == b"vggfeat: none.npy: no such file\n"


def test_nothing_in_an_archive_or_at_an_address_may_go(folder: Path) -> None:
    with zipfile.ZipFile("copies.zip", "w") as archive:
        archive.write("imgs/1.png")
    names = ["copies.zip", "imgs", f"file://{folder}/imgs/2.png"]
    extract(names, "all.npy", weights=networks.weights(), layer="pool5")
    done = run("duplicates", "all.npy", "--threshold", "1", "--format", "paths")
    assert done.stdout == b""
    assert "are in an archive or at an address, or not at their path any more" in done.stderr
