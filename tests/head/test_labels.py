"""Labels find their pictures, or say why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vggfeat import VggfeatError
from vggfeat.head import labels

PARTS = st.text(st.sampled_from('ab.," é\udcff'), min_size=1, max_size=4).filter(
    lambda part: part == part.strip() and part not in (".", "..")
)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(text: str, *paths: str, file: str = "labels.csv") -> labels.Labels:
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_bytes(os.fsencode(text))
    return labels.from_csv(file, paths)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@given(table=st.dictionaries(PATHS, st.sampled_from(["cat", "dog", "a, b"]), min_size=1))
@settings(max_examples=60, deadline=None)
def test_paths_as_they_stand_there_always_match(table: dict[str, str]) -> None:
    lines = "".join(f"{quoted(path)},{quoted(label)}\n" for path, label in table.items())
    found = told(f"path,label\n{lines}", *reversed(table))
    assert found == ([table[path] for path in reversed(table)], 0)


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nx/1.jpg,cat\nx/2.jpg,dog\n",
        "x/1.jpg,cat\nx/2.jpg,dog",
        "\ufefflabel;size;File\r\ncat;3;x/1.jpg\r\ndog;4;x/2.jpg\r\n",
        "image\tclass\n\nx/1.jpg\t cat\nx/2.jpg\tdog\n",
        "label,,,path\ncat,,,x/1.jpg\ndog,,,x/2.jpg\ncat\n",
        "path,label\n./x/1.jpg,cat\nx/../x/2.jpg,dog\n",
        "path,label\n1.jpg,cat\n2.jpg,dog\n",
        "path,label\nall/x/1.jpg,cat\nall/x/2.jpg,dog\n",
    ],
)
def test_files_of_many_kinds_are_understood(text: str) -> None:
    assert told(text, "x/1.jpg", "x/2.jpg") == (["cat", "dog"], 0)


def test_paths_may_begin_where_the_file_is_and_be_absolute(tmp_path: Path) -> None:
    paths = (str(tmp_path / "sub/a/1.jpg"), "sub/b/1.jpg")
    text = f"path,label\na/1.jpg,cat\n{tmp_path}/sub/b/1.jpg,dog\n"
    assert told(text, *paths, file="sub/labels.csv") == (["cat", "dog"], 0)


def test_rows_and_labels_that_find_nothing_are_told() -> None:
    found = told("path,label\na.jpg,cat\nnone.jpg,cat\nc.jpg,\n", "a.jpg", "b.jpg", "c.jpg")
    assert found == (["cat", "", ""], 1)


def test_a_name_in_another_folder_is_another_picture() -> None:
    assert told("train/1.jpg,cat\n2.jpg,dog\n", "test/1.jpg", "x/2.jpg") == (["", "dog"], 1)


def test_a_picture_that_is_named_twice_has_both_rows_labelled() -> None:
    assert told("a.jpg,cat\nb.jpg,dog\n", "x/a.jpg", "b.jpg", "x/a.jpg").of_row == [
        "cat", "dog", "cat"
    ]  # fmt: skip


def test_the_exact_path_goes_before_one_that_ends_alike() -> None:
    assert told("1.jpg,cat\nx/1.jpg,dog\n", "x/1.jpg", "1.jpg") == (["dog", "cat"], 0)


@pytest.mark.parametrize(
    ("text", "paths", "why"),
    [
        ("1.jpg,cat\n", ["x/1.jpg", "y/1.jpg"], "1.jpg may be x/1.jpg or y/1.jpg: write more"),
        ("x/1.jpg,cat\ny/1.jpg,dog\n", ["1.jpg"], "1.jpg may be x/1.jpg or y/1.jpg, of other"),
        ("1.jpg,cat\n1.jpg,dog\n", ["1.jpg"], "1.jpg is labelled cat, and dog too"),
        ("2.jpg,cat\n", ["1.jpg"], "none of its 1 paths, such as 2.jpg, is among those of the"),
        ("a,b,c\n1,2,3\n", ["1.jpg"], "no labels: it should begin with the line path,label"),
        ("", ["1.jpg"], "no labels: it should begin with the line path,label"),
    ],
)
def test_a_doubt_is_an_error(text: str, paths: list[str], why: str) -> None:
    with pytest.raises(VggfeatError, match=f"^labels.csv: {why}"):
        told(text, *paths)


def test_folders_give_their_names(tmp_path: Path) -> None:
    paths = ["imgs/cats/1.jpg", "/data/dogs/x.png", "here.jpg"]
    assert labels.from_folders(paths) == (["cats", "dogs", tmp_path.name], 0)
