"""Zip archives that say more than they are."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from vggfeat import WeightsError
from vggfeat.weights import formats
from vggfeat.weights.formats.containers.archive import Archive, names_in

ENTRY = struct.Struct("<4s4B4HL2L5H2L")  # of the directory, before the name
END = struct.Struct("<4s4H2LH")


def with_entries(path: Path, count: int) -> Path:
    """An archive whose directory lists one entry so many times."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"")
    data = path.read_bytes()
    place = data.index(b"PK\x01\x02")
    body, end = data[:place], data[place:]
    entry = end[: ENTRY.size + 1]
    listed = min(count, 0xFFFF)
    path.write_bytes(
        body
        + entry * count
        + END.pack(b"PK\x05\x06", 0, 0, listed, listed, len(entry) * count, len(body), 0)
    )
    return path


def test_an_archive_of_a_few_entries_is_read(tmp_path: Path) -> None:
    assert names_in(with_entries(tmp_path / "a.zip", 1)) == ["a"]


def test_a_directory_of_a_million_entries_takes_no_memory(tmp_path: Path) -> None:
    path = with_entries(tmp_path / "a.zip", 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="more entries than any network"):
            names_in(path)
        with pytest.raises(WeightsError, match="more entries than any network"):
            Archive(path)
        with pytest.raises(WeightsError, match="more entries than any network"):
            formats.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("comment", [b"", b"a comment"])
def test_comments_do_not_hide_the_directory(tmp_path: Path, comment: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("name", b"")
        archive.comment = comment
    assert names_in(tmp_path / "a.zip") == ["name"]


@pytest.mark.parametrize("kept", [30, 100, 0.9])
def test_an_archive_that_is_cut_short_is_called_that(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/data.pkl", "a/data/0", "a/version"):
            archive.writestr(name, b"1234")
    data = path.read_bytes()
    path.write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    with pytest.raises(WeightsError, match="damaged: a zip archive without a whole directory"):
        formats.read(path)


def test_a_comment_that_looks_like_the_directorys_end_is_no_way_around_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("name", b"")
        archive.comment = b"PK\x05\x06 within"
    with pytest.raises(WeightsError, match="damaged"):
        names_in(tmp_path / "a.zip")


def test_an_archive_of_the_64_bit_form_is_read(tmp_path: Path) -> None:
    """The end of it as APPNOTE.TXT has it (4.3.14 to 4.3.16), all lengths in 64 bits."""
    path = with_entries(tmp_path / "a.zip", 1)
    data = path.read_bytes()[: -END.size]
    place = data.index(b"PK\x01\x02")
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(data) - place, place
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data), 1)
    full = 0xFFFFFFFF
    end = END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, full, full, 0)
    path.write_bytes(data + record + locator + end)
    assert names_in(path) == ["a"]


def test_more_entries_than_a_network_has_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(70_000):  # more than 16 bits can count
            archive.writestr(str(number), b"")
    with pytest.raises(WeightsError, match="more entries than any network"):
        names_in(tmp_path / "a.zip")
