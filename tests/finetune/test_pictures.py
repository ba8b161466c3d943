"""Which pictures there are, and which of them judge."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vggfeat import VggfeatError
from vggfeat.errors import UsageError
from vggfeat.finetune.pictures import Picture, listed, split


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def told(folder: Path, val: str | None = None) -> list[tuple[str, str, bool | None]]:
    found = listed(folder, val)
    return [
        (os.path.relpath(p.name, folder), found.classes[p.label], p.judges) for p in found.pictures
    ]


def test_folders_are_classes_in_natural_order(tmp_path: Path) -> None:
    put(
        tmp_path,
        "c10/1.jpg",
        "c2/b/10.png",
        "c2/b/9.png",
        "c2/notes.txt",
        ".x/1.jpg",
        "e/a.txt",
        "5.jpg",
    )
    assert told(tmp_path) == [
        ("c2/b/9.png", "c2", None),
        ("c2/b/10.png", "c2", None),
        ("c10/1.jpg", "c10", None),
    ]
    assert listed(tmp_path).fraction == 0.2
    assert listed(tmp_path, "0.5").fraction == 0.5
    assert listed(tmp_path).skipped == "2 not an image, 1 in no class's folder"


@pytest.mark.parametrize("name", ["val", "validation"])
def test_a_folder_of_its_own_judges(tmp_path: Path, name: str) -> None:
    put(tmp_path, "train/a/1.jpg", "train/b/2.jpg", f"{name}/b/3.jpg")
    assert told(tmp_path) == [
        ("train/a/1.jpg", "a", False),
        ("train/b/2.jpg", "b", False),
        (f"{name}/b/3.jpg", "b", True),
    ]
    assert listed(tmp_path).fraction is None


def test_val_may_be_a_folder_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, "in/a/1.jpg", "in/b/2.jpg", "out/a/3.jpg")
    found = listed(tmp_path / "in", str(tmp_path / "out"))
    assert [picture.judges for picture in found.pictures] == [False, False, True]


def test_any_change_of_the_pictures_changes_the_digest(tmp_path: Path) -> None:
    put(tmp_path / "x", "a/1.jpg", "b/2.jpg")
    put(tmp_path / "y", "a/1.jpg", "b/2.jpg")
    for place in ("x", "y"):
        for name in ("a/1.jpg", "b/2.jpg"):
            os.utime(tmp_path / place / name, ns=(5, 5))
    digest = listed(tmp_path / "x").digest
    assert listed(tmp_path / "y").digest == digest  # wherever the folder is
    os.utime(tmp_path / "x/a/1.jpg", ns=(5, 6))
    put(tmp_path / "y", "b/3.jpg")
    assert digest not in {listed(tmp_path / "x").digest, listed(tmp_path / "y").digest}


@pytest.mark.parametrize(
    ("names", "val", "said"),
    [
        (["a/1.jpg", "2.jpg"], None, "one folder with pictures in it: there must be two or more"),
        (["a/1.jpg", "b/1.jpg"], "none", "none: neither a fraction between 0 and 1 nor a"),
        (["a/1.jpg", "b/1.jpg"], "1.5", "1.5: neither a fraction between 0 and 1 nor a"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/c/1.jpg"], None, "val/c: .*/train has no such"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/x.txt"], None, "val: no pictures in the folders"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg"], "0.3", "/val judges: leave --val away"),
        (["train/a/1.jpg", "test/a/1.jpg"], None, "test and train are no classes: give one of"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, names: list[str], val: str | None, said: str
) -> None:
    put(tmp_path, *names)
    with pytest.raises((VggfeatError, UsageError), match=said):
        listed(tmp_path, val)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VggfeatError, match="gone: cannot be listed: No such file"):
        listed(tmp_path / "gone")


CONTENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=1, max_size=40)


@given(CONTENTS, st.floats(0.05, 0.95), st.integers(0, 3))
def test_a_split_keeps_copies_together_and_leaves_two_to_learn_from(
    given_: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    contents = [f"{label}-{content}" for label, content in given_]  # each of one class
    pictures = [Picture(str(at), label) for at, (label, _) in enumerate(given_)]
    judges = [bool(p.judges) for p in split(pictures, contents, fraction, seed)]
    sides = {content: judges[at] for at, content in enumerate(contents)}
    assert judges == [sides[content] for content in contents]
    for label in {label for label, _ in given_}:
        count = Counter(side for content, side in sides.items() if content[0] == str(label))
        different = count.total()
        assert count[False] >= min(different, 2)
        assert (count[True] > 0) == (different > 2)
        if 1 <= fraction * different <= different - 2:
            assert abs(count[True] - fraction * different) <= 0.5


def test_a_split_depends_on_seed_and_content_alone() -> None:
    pictures = [Picture(str(at), 0) for at in range(20)]
    contents = [str(at) for at in range(20)]

    def judging(order: list[int], seed: int) -> set[str]:
        chosen = split([pictures[at] for at in order], [contents[at] for at in order], 0.3, seed)
        return {picture.name for picture in chosen if picture.judges}

    forward, backward = list(range(20)), list(range(20))[::-1]
    assert judging(forward, 1) == judging(backward, 1)
    assert judging(forward, 1) != judging(forward, 2)
