from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources import on_stdin
from vggfeat.sources import open_inputs


def listed(data: bytes, *, nul_separated: bool = False) -> list[bytes]:
    with on_stdin(data):
        return [os.fsencode(ref.name) for ref in open_inputs(["-"], nul_separated=nul_separated)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", []),
        (b"/no/a.jpg\n/no/b.jpg\n", [b"/no/a.jpg", b"/no/b.jpg"]),
        (b"/no/a.jpg\n/no/b.jpg", [b"/no/a.jpg", b"/no/b.jpg"]),
        (b"/no/a.jpg\n\n\n/no/b.jpg\n", [b"/no/a.jpg", b"/no/b.jpg"]),
        (b"/no/same.jpg\n/no/same.jpg\n", [b"/no/same.jpg", b"/no/same.jpg"]),
    ],
    ids=["nothing", "empty line", "two", "no newline at the end", "empty lines", "repeated"],
)
def test_each_line_is_a_path(data: bytes, expected: list[bytes]) -> None:
    assert listed(data) == expected


@pytest.mark.parametrize(
    "path", [b"/no/a.jpg\r", b" /no/a.jpg", b"/no/a.jpg ", b"/no/a\t.jpg", b"/no/\xe9\xff.jpg"]
)
def test_nothing_but_the_newline_is_taken_off_a_path(path: bytes) -> None:
    assert listed(path + b"\n") == [path]


def test_paths_separated_by_nul_may_hold_newlines() -> None:
    assert listed(b"/no/two\nlines.jpg\0/no/b.jpg\0", nul_separated=True) == [
        b"/no/two\nlines.jpg",
        b"/no/b.jpg",
    ]


def test_a_path_longer_than_any_buffer_stays_whole() -> None:
    path = b"/no/" + b"x" * 200_000 + b".jpg"

    assert listed(path + b"\n/no/b.jpg\n") == [path, b"/no/b.jpg"]


class InPieces(io.RawIOBase):
    """A stream that hands out its bytes in given pieces, as a pipe may."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data = data
        self.sizes = sizes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = min(self.sizes.pop() if self.sizes else 1, len(buffer))
        piece, self.data = self.data[:size], self.data[size:]
        buffer[: len(piece)] = piece
        return len(piece)


@given(
    names=st.lists(st.binary(min_size=1, max_size=12)),
    sizes=st.lists(st.integers(1, 9)),
    nul_separated=st.booleans(),
)
def test_paths_do_not_depend_on_how_the_stream_was_cut(
    names: list[bytes], sizes: list[int], nul_separated: bool
) -> None:
    separator = b"\0" if nul_separated else b"\n"
    # Below a folder that does not exist, so that no name is one of this machine's folders.
    paths = [b"/does-not-exist/" + name.replace(separator, b"?") for name in names]
    data = b"".join(path + separator for path in paths)

    with on_stdin(io.BufferedReader(InPieces(data, sizes))):
        refs = list(open_inputs(["-"], nul_separated=nul_separated))

    assert [os.fsencode(ref.name) for ref in refs] == paths


def test_a_path_is_handed_on_before_the_next_is_written(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    reading, writing = os.pipe()

    with on_stdin(os.fdopen(reading, "rb")), os.fdopen(writing, "wb", buffering=0) as writer:
        refs = iter(open_inputs(["-"]))
        writer.write(os.fsencode(tmp_path / "a.jpg") + b"\n")
        first = next(refs)
        assert first.read().data == b"a.jpg"

        writer.write(os.fsencode(tmp_path / "b.jpg") + b"\n")
        second = next(refs)
        assert second.read().data == b"b.jpg"

        writer.close()
        assert list(refs) == []
