"""The files beside an output: what is written is read back, and what is damaged is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sinks.outputs import csv_lines
from vggfeat.outcome import Failure, Stamp
from vggfeat.sinks.index import (
    Entry,
    beside,
    encode_about,
    encode_failed,
    encode_index,
    entries,
    failures,
    read_about,
)

names = st.binary(max_size=20).filter(lambda b: b"\0" not in b).map(os.fsdecode)
stamps = st.builds(Stamp, st.integers(0, 2**63), st.integers(-(2**63), 2**63))
listed = st.builds(Entry, names, stamps, st.just("ab" * 32), st.just("0123abcd"))
failed = st.builds(Failure, names, names, st.none() | stamps)

ENTRIES = [Entry(f"{number}.jpg", Stamp(7, -8), "ab" * 32, "0123abcd") for number in range(3)]


@pytest.mark.parametrize(
    ("output", "companions"),
    [
        ("a/my.feats.npy", ["my.feats.json", "my.feats.index.csv", "my.feats.failed.csv"]),
        ("a/feats", ["feats.json", "feats.index.csv", "feats.failed.csv"]),
    ],
)
def test_companions_have_the_outputs_stem(output: str, companions: list[str]) -> None:
    assert [str(path) for path in beside(Path(output))] == [f"a/{name}" for name in companions]


@given(st.lists(listed, max_size=5))
@settings(deadline=None)
def test_an_index_is_read_as_it_was_written(rows: list[Entry]) -> None:
    data = encode_index(rows)
    assert list(entries(data)) == rows
    header, *lines = csv_lines(data)
    assert header == ["row", "path", "size", "mtime_ns", "sha256", "crc32"]
    assert lines == [
        [str(number), row.name, *map(str, row.stamp), row.sha256, row.crc32]
        for number, row in enumerate(rows)
    ]


@given(st.lists(failed, max_size=5))
@settings(deadline=None)
def test_failures_are_read_as_they_were_written(told: list[Failure]) -> None:
    data = encode_failed(told)
    assert bool(data) == bool(told)
    if told:
        assert list(failures(data)) == told
        header, *lines = csv_lines(data)
        assert header == ["path", "reason", "size", "mtime_ns"]
        assert lines == [[*f[:2], *(map(str, f.stamp) if f.stamp else ("", ""))] for f in told]


def test_a_line_of_the_index_is_as_it_always_is() -> None:
    entry = Entry('a "b", c.jpg', Stamp(7, -8), "ab", "0123abcd")
    assert encode_index([entry]).splitlines()[1] == b'0,"a ""b"", c.jpg",7,-8,ab,0123abcd'


INDEX = encode_index(ENTRIES)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        INDEX.replace(b"row,", b"line,"),
        INDEX.replace(b"\n1,", b"\n3,"),
        INDEX.replace(b"\n1,", b"\n01,"),
        INDEX[: INDEX.index(b"\n1,") + 1] + INDEX[INDEX.index(b"\n2,") + 1 :],
        INDEX[:-20],
        INDEX.replace(b",7,", b",,"),
        INDEX.replace(b",-8,", b",x,"),
        INDEX.replace(b"2.jpg", b'"2.jpg'),
        INDEX + b"\n",
        INDEX.replace(b"0123abcd", b"0123abcd,"),
    ],
)
def test_a_damaged_index_is_an_error(damaged: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        list(entries(damaged))


FAILED = encode_failed([Failure("a", "reason", Stamp(7, 8)), Failure("b", "reason")])


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        INDEX,
        FAILED.replace(b"reason,", b"why,"),
        FAILED[:-3],
        FAILED.replace(b",8", b",x"),
        FAILED.replace(b",7,8", b",7"),
        FAILED.replace(b",7,8", b",7,"),
    ],
)
def test_a_damaged_list_of_failures_is_an_error(damaged: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        list(failures(damaged))


def test_rows_of_several_layers_have_a_checksum_each() -> None:
    assert ENTRIES[0]._replace(crc32="0000000a 0000000b").crc32s == ["0000000a", "0000000b"]
    assert ENTRIES[0].crc32s == [ENTRIES[0].crc32]


def test_what_is_told_of_an_output_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    about = {"vggfeat": "1", "output": "f\udcff.npy", "shape": [5]}
    path.write_bytes(encode_about(about))
    assert read_about(path) == json.loads(path.read_bytes()) == about
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("written", [b"", b"{", b"[]", b"null", b'"vggfeat"', b"{}", b"\xff"])
def test_another_programs_file_tells_nothing_of_an_output(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "f.json").write_bytes(written)
    assert read_about(tmp_path / "f.json") is None


def test_what_is_not_there_is_no_other_programs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_about(tmp_path / "f.json")
