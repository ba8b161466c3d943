"""Rows in files: found, checked, and cut out as pieces of other files."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.sinks.outputs import WIDTH, rows
from vggfeat import VggfeatError, sinks
from vggfeat.sinks import RowType
from vggfeat.sinks.index import Entry
from vggfeat.sinks.rows import RowFile, checksum

ROWS = rows(range(4))
NAMES = [row.name for row in ROWS]
ENTRIES = [Entry(row.name, row.stamp, row.sha256, checksum(row.features[0])) for row in ROWS]


@pytest.fixture(params=sinks.STREAMS)
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    form = sinks.form(request.param)
    features = np.stack([row.features[0] for row in ROWS])
    path = tmp_path / f"f.{request.param}"
    path.write_bytes(form.header(4, RowType((WIDTH,))) + form.encode(NAMES, features))
    return path


def opened(path: Path, names: list[str] = NAMES) -> closing[RowFile]:
    return closing(RowFile(path, sinks.form(path.suffix[1:]), RowType((WIDTH,)), names))


@pytest.fixture
def there(path: Path) -> Iterator[RowFile]:
    with opened(path) as there:
        yield there


def garble(path: Path, row: int) -> None:
    """Change one number of a row."""
    with opened(path) as there:
        piece = there.piece(row, "another name")
    data = bytearray(path.read_bytes())
    at = piece.end - 3
    data[at] = ord("1") if data[at] != ord("1") else ord("2")
    path.write_bytes(data)


@pytest.mark.parametrize("order", "<>")
def test_a_checksum_is_of_little_endian_bytes(order: str) -> None:
    expected = f"{zlib.crc32(struct.pack('<3f', 0, 1.5, -2)):08x}"
    assert checksum(np.array([0, 1.5, -2], f"{order}f4")) == expected
    assert checksum(np.array([[0], [1.5], [-2]], f"{order}f4")) == expected


def test_a_checksum_has_eight_digits() -> None:
    short = next(n for n in range(1000) if zlib.crc32(struct.pack("<f", n)) < 1 << 28)
    assert checksum(np.array([short], np.float32)).startswith("0")
    assert len(checksum(np.array([short], np.float32))) == 8


def test_rows_are_read_as_they_were_written(there: RowFile, path: Path) -> None:
    assert len(there) == 4
    assert there.size == path.stat().st_size == there.end(4)
    for number, row in enumerate(ROWS):
        assert there.numbers(number).tobytes() == row.features[0].tobytes()
        assert there.checksum(number) == ENTRIES[number].crc32


def test_all_rows_are_intact(there: RowFile) -> None:
    assert there.intact(ENTRIES) == 4
    assert there.intact(ENTRIES[:2]) == 2
    assert there.intact([]) == 0


def test_rows_count_up_to_the_first_that_is_garbled(path: Path) -> None:
    garble(path, 2)
    with opened(path) as there:
        assert there.intact(ENTRIES) == 2
    garble(path, 0)
    with opened(path) as there:
        assert there.intact(ENTRIES) == 0


def test_what_is_no_number_has_no_checksum(tmp_path: Path) -> None:
    form = sinks.form("csv")
    (tmp_path / "f.csv").write_bytes(form.header(1, RowType((2,))) + b"0.jpg,1,x\n")
    with closing(RowFile(tmp_path / "f.csv", form, RowType((2,)), NAMES)) as there:
        assert there.intact(ENTRIES) == 0


def test_rows_are_there_as_far_as_they_are_whole(path: Path) -> None:
    with opened(path) as there:
        ends = [there.end(rows) for rows in range(5)]
    assert ends[0] == 0
    os.truncate(path, ends[4] - 1)
    with opened(path) as there:
        assert len(there) == there.intact(ENTRIES) == 3
        assert [there.end(rows) for rows in range(4)] == ends[:4]


def test_an_empty_file_has_no_rows(path: Path) -> None:
    os.truncate(path, 0)
    with opened(path) as there:
        assert (len(there), there.size, there.end(0), there.intact(ENTRIES)) == (0, 0, 0, 0)


def test_a_piece_is_the_row_for_an_image_of_that_name(there: RowFile, path: Path) -> None:
    form = sinks.form(path.suffix[1:])
    for number, row in enumerate(ROWS):
        for name in (row.name, "another, name"):
            literal, fd, begin, end = there.piece(number, name)
            data = literal + os.pread(fd, end - begin, begin)
            assert data == form.encode([name], row.features[0][None])
        assert there.piece(number, row.name).literal == b""


def test_a_piece_that_is_not_there_is_a_sentence(path: Path) -> None:
    with opened(path) as there:
        os.truncate(path, there.end(3) - 1)
    with opened(path) as there:
        assert there.piece(1, NAMES[1])
        with pytest.raises(VggfeatError, match=f"^{path}: damaged behind row 2: --fresh"):
            there.piece(2, NAMES[2])


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "f.npy")


def test_it_can_be_read_after_it_was_replaced(path: Path) -> None:
    with opened(path) as there:
        path.unlink()
        path.write_bytes(b"another")
        assert there.intact(ENTRIES) == 4
        begin, end = there.piece(0, NAMES[0])[2:]
        assert len(os.pread(there.fd, end - begin, begin)) == end - begin


def test_closed_it_holds_no_file(path: Path) -> None:
    with opened(path) as there:
        fd = there.fd
        os.fstat(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
