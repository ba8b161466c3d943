"""Images that are merely out of sight are told from those that were deleted."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vggfeat.errors import VggfeatError
from vggfeat.sources.unreachable import check_reachable


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, folder: Path, error: int) -> None:
    """Let the system answer so when it is asked about a folder."""
    real: Callable[..., object] = getattr(os, call)

    def refusing(path: str, *args: object, **options: object) -> object:
        if os.path.normpath(path) == str(folder):
            raise OSError(error, os.strerror(error), path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, call, refusing)


def test_images_that_were_deleted_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    check_reachable([str(tmp_path / "there" / "a.jpg"), str(tmp_path / "gone" / "too" / "a.jpg")])
    check_reachable([])


def test_names_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_reachable(["a.jpg", "gone/a.jpg", "../a.jpg"])
    os.symlink("unplugged", "disk")
    with pytest.raises(VggfeatError, match="^disk: cannot be looked into: what the link leads to"):
        check_reachable(["disk/a.jpg"])


def test_a_file_where_the_folder_was_is_a_change_like_others(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file")
    check_reachable([str(tmp_path / "folder" / "a.jpg"), str(tmp_path / "folder" / "b" / "c.jpg")])


@pytest.mark.parametrize("below", ["a.jpg", "2024/a.jpg", "2024/12/a.jpg"])
def test_a_link_that_leads_nowhere_hides_what_is_below_it(tmp_path: Path, below: str) -> None:
    link = tmp_path / "disk"
    link.symlink_to(tmp_path / "unplugged")
    with pytest.raises(VggfeatError, match=f"^{link}: .* what the link leads to is not there; "):
        check_reachable([str(link / below)])
    (tmp_path / "unplugged").mkdir()
    check_reachable([str(link / below)])


def test_an_image_that_is_itself_a_broken_link_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("gone.jpg")
    check_reachable([str(tmp_path / "a.jpg")])


def test_links_that_go_round_in_a_circle_are_told(tmp_path: Path) -> None:
    link = tmp_path / "round"
    link.symlink_to(link)
    with pytest.raises(VggfeatError, match=f"^{link}: cannot be looked into: .*symbolic links"):
        check_reachable([str(link / "a.jpg")])


@pytest.mark.parametrize("call", ["stat", "scandir"])
@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_folder_that_the_system_does_not_show_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    refuse(monkeypatch, call, folder, error)
    check_reachable([str(tmp_path / "a.jpg")])
    with pytest.raises(VggfeatError) as caught:
        check_reachable([str(folder / name) for name in ("a.jpg", "b.jpg", "c/d.jpg")])
    assert str(caught.value) == (
        f"{folder}: cannot be looked into: {os.strerror(error)}; the rows of 3 images below it "
        "would be lost: run again when it can be, or drop them with --fresh"
    )


def test_each_folder_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    real = os.scandir

    def counted(path: str) -> object:
        looked_at.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", counted)
    check_reachable([str(tmp_path / f"{number}.jpg") for number in range(50)])
    assert looked_at == [str(tmp_path), *map(str, tmp_path.parents)]
