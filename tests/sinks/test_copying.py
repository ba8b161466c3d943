"""Bytes from file to file, whatever the system can do within the kernel."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vggfeat.sinks.copying import Piece, copy, write_all

SIZE = (1 << 20) + 12345  # more than is read at once
DATA = np.random.default_rng(0).bytes(SIZE)
OTHER = DATA[::-1]


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Two open files, of DATA and of OTHER."""
    with ExitStack() as opened:
        (tmp_path / "data").write_bytes(DATA)
        (tmp_path / "other").write_bytes(OTHER)
        files = [opened.enter_context(open(tmp_path / name, "rb")) for name in ("data", "other")]
        yield files[0].fileno(), files[1].fileno()


def copied(out: Path, *pieces: Piece) -> bytes:
    """What is in a file after pieces were added to it."""
    with open(out, "wb") as file:
        file.write(b"before")
        file.flush()
        copy(iter(pieces), file.fileno())
    return out.read_bytes()


def refusing(code: int) -> Callable[..., int]:
    def refuse(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    return refuse


def nothing(*args: object) -> int:
    return 0


def shortly(real: Callable[..., int]) -> Callable[..., int]:
    def some(source: int, out: int, length: int, at: int) -> int:
        return real(source, out, min(length, 5000), at)

    return some


REAL: Callable[..., int] = getattr(os, "copy_file_range", nothing)
REFUSALS = ["ENOSYS", "EXDEV", "EINVAL", "EOPNOTSUPP", "EBADF", "ETXTBSY"]
WAYS = {
    "system": REAL,
    "some bytes at once": shortly(REAL),
    "nothing copied": nothing,
    **{name: refusing(getattr(errno, name)) for name in REFUSALS},
}


@pytest.mark.parametrize("way", WAYS)
def test_pieces_come_one_after_the_other(
    tmp_path: Path, sources: tuple[int, int], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(os, "copy_file_range", WAYS[way], raising=False)
    data, other = sources
    pieces = [
        Piece(b"first", data, 10, SIZE),
        Piece(b"", data, 0, 10),
        Piece(b"", data, 10, 30),
        Piece(b"", other, 30, 50),
        Piece(b"named", other, 50, 60),
        Piece(b"", other, 7, 7),
    ]
    assert copied(tmp_path / "out", *pieces) == (
        b"beforefirst" + DATA[10:] + DATA[:30] + OTHER[30:50] + b"named" + OTHER[50:60]
    )


def test_without_such_a_copy_in_the_system_it_reads_and_writes(
    tmp_path: Path, sources: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    assert copied(tmp_path / "out", Piece(b"", sources[0], 1, SIZE)) == b"before" + DATA[1:]


def test_a_system_that_stops_in_the_middle_is_gone_on_from_there(
    tmp_path: Path, sources: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = itertools.chain([shortly(REAL), shortly(REAL)], itertools.repeat(nothing))

    def stopping(*args: int) -> int:
        return next(ways)(*args)

    monkeypatch.setattr(os, "copy_file_range", stopping, raising=False)
    assert copied(tmp_path / "out", Piece(b"", sources[0], 1, SIZE)) == b"before" + DATA[1:]


def test_neighbours_are_copied_at_once(
    tmp_path: Path, sources: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def told(source: int, out: int, length: int, at: int) -> int:
        asked.append((at, length))
        return REAL(source, out, length, at)

    monkeypatch.setattr(os, "copy_file_range", told, raising=False)
    data, _ = sources
    pieces = [Piece(b"", data, at, at + 10) for at in (0, 10, 20, 40, 50)]
    copied(tmp_path / "out", *pieces)
    assert asked == [(0, 30), (40, 20)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_other_errors_of_the_system_are_told(
    tmp_path: Path, sources: tuple[int, int], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "copy_file_range", refusing(code), raising=False)
    with pytest.raises(OSError, match=os.strerror(code)):
        copied(tmp_path / "out", Piece(b"", sources[0], 0, 10))


@pytest.mark.parametrize("way", ["system", "nothing copied", "ENOSYS"])
def test_a_source_that_is_too_short_is_an_error(
    tmp_path: Path, sources: tuple[int, int], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(os, "copy_file_range", WAYS[way], raising=False)
    with pytest.raises(OSError, match="was cut short while it was read"):
        copied(tmp_path / "out", Piece(b"", sources[0], SIZE - 5, SIZE + 1))


@given(data=st.binary(max_size=100), most=st.integers(1, 7))
def test_all_is_written_however_little_the_system_takes(data: bytes, most: int) -> None:
    reading, writing = os.pipe()
    real = os.write
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", lambda fd, view: real(fd, view[:most]))
        write_all(writing, data)
    os.close(writing)
    with open(reading, "rb") as file:
        assert file.read() == data
