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
        assert names_in(path) == []
        with pytest.raises(WeightsError, match="more entries than any network"):
            Archive(path)
        with pytest.raises(WeightsError):
            formats.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("comment", [b"", b"a comment", b"PK\x05\x06 within"])
def test_comments_do_not_hide_the_directory(tmp_path: Path, comment: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("name", b"")
        archive.comment = comment
    expected = zipfile.ZipFile(tmp_path / "a.zip").namelist() if b"PK" not in comment else []
    assert names_in(tmp_path / "a.zip") == expected


def test_an_archive_of_the_64_bit_form_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(70_000):  # more than 16 bits can count
            archive.writestr(str(number), b"")
    assert len(names_in(tmp_path / "a.zip")) == 70_000
