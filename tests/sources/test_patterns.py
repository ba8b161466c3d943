"""Brace patterns, as shells and webdataset have them."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from tests.sources import on_stdin
from tests.sources.archives import read, tar, whole
from vggfeat.errors import VggfeatError
from vggfeat.sources import open_inputs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        (tmp_path / f"{number:02}.tar").write_bytes(tar([("a.jpg", b"%d" % number)]))
        (tmp_path / f"{number}.jpg").write_bytes(b"%d" % number)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_pattern_stands_for_all_its_files_in_its_order() -> None:
    assert whole("{2..0}.jpg") == [("2.jpg", b"2"), ("1.jpg", b"1"), ("0.jpg", b"0")]
    assert [name for name, _ in whole("{00..02}.tar")] == [f"0{n}.tar/a.jpg" for n in range(3)]
    assert [name for name, _ in whole("{0{0,2}.tar,1.jpg}")] == [
        "00.tar/a.jpg", "02.tar/a.jpg", "1.jpg",
    ]  # fmt: skip


def test_a_file_of_that_very_name_wins(folder: Path) -> None:
    (folder / "{0..2}.jpg").write_bytes(b"literally")
    assert whole("{0..2}.jpg") == [("{0..2}.jpg", b"literally")]


@pytest.mark.usefixtures("folder")
def test_a_file_of_a_pattern_that_is_not_there_is_told_by_its_name() -> None:
    with pytest.raises(VggfeatError, match="^03.tar: no such file or folder$"):
        open_inputs(["{00..03}.tar"])


@pytest.mark.parametrize("name", ["{.jpg", "a{b.jpg", "{x}.jpg", "}{.jpg"])
def test_braces_that_are_no_pattern_are_a_name(folder: Path, name: str) -> None:
    with pytest.raises(VggfeatError, match="no such file or folder$"):
        open_inputs([name])
    (folder / name).write_bytes(b"here")
    assert whole(name) == [(name, b"here")]


@pytest.mark.usefixtures("folder")
def test_a_list_has_names_and_no_patterns() -> None:
    with on_stdin(b"{0..1}.jpg\n00.tar\n"):
        missing, image = read("-")
    assert missing.data is None
    assert image == ("00.tar/a.jpg", b"0", "")


def test_patterns_of_addresses(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    for name in ("a1.jpg", "a2.jpg", "a10.jpg", "b/c.jpg", ".h.jpg", "a3.txt"):
        files.pipe(f"/{tmp_path.name}/{name}", name.encode())
    root = f"memory://{tmp_path.name}"

    def found(pattern: str) -> list[str]:
        return [name.removeprefix(f"{root}/") for name, _ in whole(f"{root}/{pattern}")]

    assert found("*.jpg") == ["a1.jpg", "a2.jpg", "a10.jpg"]
    assert found("a?.*") == ["a1.jpg", "a2.jpg", "a3.txt"]
    assert found("**/*.jpg") == ["a1.jpg", "a2.jpg", "a10.jpg", "b/c.jpg"]
    assert found("*/c.jpg") == ["b/c.jpg"]
    assert found("a{2,1}.jpg") == ["a2.jpg", "a1.jpg"]
    with pytest.raises(VggfeatError, match=f"^{root}/x\\*: no such file$"):
        open_inputs([f"{root}/x*"])
