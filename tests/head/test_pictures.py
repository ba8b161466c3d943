"""Features for a head out of a folder of pictures: once, and only where a head can come of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vggfeat.errors import UsageError, VggfeatError
from vggfeat.features import open_features
from vggfeat.head.pictures import extracted
from vggfeat.watcher import Watcher


class Notes(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one picture in each of two folders, and one that is broken."""
    generator = np.random.default_rng(0)
    for kind in ("roses", "tulips"):
        folder = tmp_path / "imgs" / kind
        folder.mkdir(parents=True)
        Image.fromarray(generator.integers(0, 255, (9, 9, 3), np.uint8)).save(folder / "0.png")
    (tmp_path / "imgs" / "roses" / "1.png").write_bytes(b"no picture")
    (tmp_path / "labels.csv").write_text("path,label\nroses/0.png,rose\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_features_are_computed_once_for_each_picture(here: Path, narrow_file: Path) -> None:
    notes = Notes()

    def again() -> tuple[str, int]:
        return extracted("imgs", "a/b.head", weights=narrow_file, watcher=notes)

    Path("a").mkdir()
    assert again() == ("a/b.features.npy", 1)
    before, paths, *_ = open_features("a/b.features.npy")
    Image.new("RGB", (9, 9)).save("imgs/tulips/2.png")
    assert again() == ("a/b.features.npy", 1)
    after, more, recipe, _ = open_features("a/b.features.npy")
    assert paths == ["imgs/roses/0.png", "imgs/tulips/0.png"]
    assert more == [*paths, "imgs/tulips/2.png"]
    assert recipe.layer == "fc7"
    np.testing.assert_array_equal(after[:2], before)
    assert [line for line in notes.lines if line.startswith("a/b.features.npy: fc7 of ")] == [
        "a/b.features.npy: fc7 of 2 pictures, 2 computed",
        "a/b.features.npy: fc7 of 3 pictures, 1 computed",
    ]


def no_labels(here: Path) -> None:
    (here / "labels.csv").unlink()


def not_labels(here: Path) -> None:
    (here / "labels.csv").write_text("a,b,c\n")


def another_file(here: Path) -> None:
    (here / "b.head").write_text("a poem")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (no_labels, "labels.csv: cannot be read: No such file or directory"),
        (not_labels, "labels.csv: no labels: it should begin with the line path,label"),
        (another_file, "b.head: is no head, so it is not replaced: .*"),
    ],
)
def test_nothing_is_computed_for_a_head_that_cannot_be_made(
    here: Path, narrow_file: Path, spoil: Callable[[Path], None], why: str
) -> None:
    spoil(here)
    before = sorted(here.rglob("*"))
    with pytest.raises(VggfeatError, match=f"^{why}$"):
        extracted("imgs", "b.head", "labels.csv", weights=narrow_file)
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("head", ["imgs/b.head", "imgs/roses/b.head", "./roses/../imgs/b.head"])
def test_its_own_picture_is_never_among_those_to_learn(
    here: Path, narrow_file: Path, head: str
) -> None:
    Path("roses").mkdir()
    before = sorted(here.rglob("*"))
    with pytest.raises(UsageError, match="lies within imgs, whose pictures are to be learned"):
        extracted("imgs", head, weights=narrow_file)
    assert sorted(here.rglob("*")) == before
