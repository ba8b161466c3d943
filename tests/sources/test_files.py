from __future__ import annotations

import os
import random
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vggfeat.errors import ImageError, VggfeatError
from vggfeat.sources import open_inputs


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names_below(folder: Path) -> list[str]:
    """What the folder stands for, as paths from it."""
    return [os.path.relpath(ref.name, folder) for ref in open_inputs([str(folder)])]


# Order


def test_numbers_in_names_are_ordered_by_value(tmp_path: Path) -> None:
    touch(tmp_path, "img10.jpg", "img2.jpg", "img1.jpg", "img100.jpg")

    assert names_below(tmp_path) == ["img1.jpg", "img2.jpg", "img10.jpg", "img100.jpg"]


def test_numbers_in_folder_names_are_ordered_by_value(tmp_path: Path) -> None:
    touch(tmp_path, "day10/a.jpg", "day9/b.jpg")

    assert names_below(tmp_path) == ["day9/b.jpg", "day10/a.jpg"]


def test_names_of_equal_value_have_one_order_whichever_was_made_first(tmp_path: Path) -> None:
    names = [f"{'0' * zeros}1.jpg" for zeros in range(12)]
    expected = sorted(names)
    for seed in range(3):
        folder = tmp_path / str(seed)
        shuffled = random.Random(seed).sample(names, len(names))
        touch(folder, *shuffled)

        assert names_below(folder) == expected


# What a folder stands for


def test_images_of_all_folders_below_are_found(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/c/deep.jpg", "a/near.jpg", "top.jpg")

    assert names_below(tmp_path) == ["a/b/c/deep.jpg", "a/near.jpg", "top.jpg"]


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "Png", "gif", "webp", "tiff", "bmp", "heic"])
def test_images_are_known_by_their_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"photo.{suffix}")

    assert names_below(tmp_path) == [f"photo.{suffix}"]


@pytest.mark.parametrize("given", ["imgs", "./imgs", "imgs/", "../{parent}/imgs"])
def test_paths_are_kept_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    given = given.format(parent=tmp_path.name)
    touch(tmp_path, "imgs/a.jpg")
    monkeypatch.chdir(tmp_path)

    assert [ref.name for ref in open_inputs([given])] == [os.path.join(given, "a.jpg")]


def test_hidden_files_and_folders_are_passed_over_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.jpg", ".cache/a.jpg", ".cache/b.jpg", "seen.jpg")

    inputs = open_inputs([str(tmp_path)])

    assert names_below(tmp_path) == ["seen.jpg"]
    assert (inputs.skipped.hidden, inputs.skipped.not_images) == (2, 0)
    assert str(inputs.skipped) == "2 hidden"


def test_files_that_are_no_images_are_passed_over_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt", "Makefile", "jpg", "photo.jpg.part", "sub/data.csv", "seen.jpg")

    inputs = open_inputs([str(tmp_path)])

    assert names_below(tmp_path) == ["seen.jpg"]
    assert (inputs.skipped.hidden, inputs.skipped.not_images) == (0, 5)
    assert str(inputs.skipped) == "5 not an image"


def test_pipes_and_sockets_in_a_folder_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(tmp_path, os.O_RDONLY)
        try:
            # By way of the descriptor: the path of a socket must be short.
            listener.bind(f"/proc/self/fd/{folder}/socket.jpg")
        except OSError:
            pytest.skip("no /proc here")
        finally:
            os.close(folder)

        inputs = open_inputs([str(tmp_path)])

    assert list(inputs) == []
    assert inputs.skipped.not_images == 2


def test_nothing_passed_over_says_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")

    assert str(open_inputs([str(tmp_path)]).skipped) == ""


def test_an_empty_folder_has_no_images(tmp_path: Path) -> None:
    inputs = open_inputs([str(tmp_path)])

    assert list(inputs) == []
    assert inputs.total == 0


def test_a_folder_with_the_suffix_of_an_image_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "album.jpg/a.png")

    assert names_below(tmp_path) == ["album.jpg/a.png"]


def test_a_named_file_needs_no_suffix_and_may_be_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "photo", ".photo", "notes.txt")
    named = [str(tmp_path / name) for name in ("photo", ".photo", "notes.txt")]

    assert [ref.name for ref in open_inputs(named)] == named


# Symbolic links


def test_linked_folders_are_followed_under_the_name_of_the_link(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.jpg")
    (tmp_path / "imgs").mkdir()
    (tmp_path / "imgs/link").symlink_to(tmp_path / "elsewhere")

    assert names_below(tmp_path / "imgs") == ["link/a.jpg"]


def test_a_linked_folder_may_be_named(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.jpg")
    (tmp_path / "link").symlink_to("elsewhere")

    assert [ref.name for ref in open_inputs([str(tmp_path / "link")])] == [
        str(tmp_path / "link" / "a.jpg")
    ]


def test_a_linked_file_is_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.jpg")
    (tmp_path / "imgs").mkdir()
    (tmp_path / "imgs/b.jpg").symlink_to("../elsewhere/a.jpg")

    (ref,) = open_inputs([str(tmp_path / "imgs")])

    assert ref.read().data == b"elsewhere/a.jpg"


def test_a_link_to_a_folder_above_is_cut_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/photo.jpg")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(".")

    inputs = open_inputs([str(tmp_path)])

    assert [os.path.relpath(ref.name, tmp_path) for ref in inputs] == ["a/b/photo.jpg"]
    assert inputs.skipped.loops == 2
    assert str(inputs.skipped) == "2 a symlink loop"


def test_two_links_to_one_folder_are_no_loop(tmp_path: Path) -> None:
    touch(tmp_path, "imgs/real/a.jpg")
    (tmp_path / "imgs/again").symlink_to("real")

    inputs = open_inputs([str(tmp_path / "imgs")])

    assert names_below(tmp_path / "imgs") == ["again/a.jpg", "real/a.jpg"]
    assert inputs.skipped.loops == 0


def test_a_broken_link_to_an_image_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "gone.txt").symlink_to("nowhere.txt")

    inputs = open_inputs([str(tmp_path)])
    (ref,) = inputs

    assert ref.name == str(tmp_path / "gone.jpg")
    with pytest.raises(FileNotFoundError):
        ref.read()
    assert inputs.skipped.not_images == 1


def test_a_link_to_itself_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    touch(tmp_path, "whole.jpg")

    bad, good = open_inputs([str(tmp_path)])

    assert good.read().data == b"whole.jpg"
    with pytest.raises(OSError, match="symbolic links"):
        bad.read()


def test_a_link_to_itself_without_the_suffix_of_an_image_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")

    inputs = open_inputs([str(tmp_path)])

    assert list(inputs) == []
    assert inputs.skipped.not_images == 1


# Trouble


def test_a_folder_that_cannot_be_listed_is_one_failure_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "1/a.jpg", "2/b.jpg", "3/c.jpg")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if path == str(tmp_path / "2"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    first, refused, last = open_inputs([str(tmp_path)])

    assert refused.name == str(tmp_path / "2")
    with pytest.raises(ImageError, match=r"^the folder cannot be listed: Permission denied$"):
        refused.read()
    assert [first.read().data, last.read().data] == [b"1/a.jpg", b"3/c.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root enters every folder")
def test_a_folder_that_cannot_be_entered_is_one_failure_in_its_place(tmp_path: Path) -> None:
    touch(tmp_path, "1/inner/a.jpg", "2/b.jpg")
    (tmp_path / "1").chmod(0o400)
    try:
        refused, last = open_inputs([str(tmp_path)])
    finally:
        (tmp_path / "1").chmod(0o700)

    assert refused.name == str(tmp_path / "1/inner")
    assert last.read().data == b"2/b.jpg"


def test_a_named_path_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    gone = str(tmp_path / "gone.jpg")

    with pytest.raises(VggfeatError, match=f"^{gone}: no such file or folder$"):
        open_inputs([str(tmp_path / "a.jpg"), gone])


def test_a_named_broken_link_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")

    (ref,) = open_inputs([str(tmp_path / "gone.jpg")])

    with pytest.raises(FileNotFoundError):
        ref.read()


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")

    (ref,) = open_inputs([str(tmp_path / "pipe.jpg")])

    with pytest.raises(ImageError, match="not a regular file"):
        ref.read()


def test_a_device_is_refused() -> None:
    (ref,) = open_inputs([os.devnull])

    with pytest.raises(ImageError, match="not a regular file"):
        ref.read()


def test_a_file_beyond_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    path.touch()
    os.truncate(path, (1 << 30) + 1)

    (ref,) = open_inputs([str(path)])

    with pytest.raises(ImageError, match=r"^too large: 1,073,741,825 bytes"):
        ref.read()


def test_a_file_that_vanishes_after_the_listing_fails_when_read(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (ref,) = open_inputs([str(tmp_path)])
    (tmp_path / "a.jpg").unlink()

    with pytest.raises(FileNotFoundError):
        ref.read()


# Reading


def test_a_file_is_read_whole_with_its_stamps(tmp_path: Path) -> None:
    content = bytes(range(256)) * 300
    (tmp_path / "a.jpg").write_bytes(content)
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))

    (ref,) = open_inputs([str(tmp_path)])

    assert ref.read() == (content, (76_800, 1_234_567_890_123_456_789))
    assert ref.stamp() == (76_800, 1_234_567_890_123_456_789)


@pytest.mark.parametrize(
    "name", [b"caf\xe9.jpg", b"\xff\xfe.png", "naïve 写真.jpg".encode(), b"new\nline.gif"]
)
def test_names_of_any_bytes_come_back_as_the_same_bytes(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    try:
        with open(path, "wb") as file:
            file.write(b"content")
    except OSError:
        pytest.skip("this file system has no such names")

    (listed,) = open_inputs([str(tmp_path)])
    (named,) = open_inputs([os.fsdecode(path)])

    assert os.fsencode(listed.name) == os.fsencode(named.name) == path
    assert listed.read().data == named.read().data == b"content"


# Depth


def test_folders_may_be_as_deep_as_the_system_lets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deep = "/".join("d" * 1900)
    subprocess.run(["mkdir", "-p", deep], check=True)
    Path(deep, "a.jpg").touch()
    assert [ref.name for ref in open_inputs(["d"])] == [f"{deep}/a.jpg"]
    subprocess.run(["rm", "-r", "d"], check=True)  # what clears up after tests is recursive
