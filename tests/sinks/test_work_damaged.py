"""What is sound of unfinished work is taken up, whatever has happened to its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.sinks.outputs import KINDS, settings
from tests.sinks.unfinished import BATCHES, TOLD, before, change, leave, taken_up, work
from vggfeat.sinks.work import journal_of, part_of


@pytest.mark.parametrize("which", [part_of, journal_of])
@given(cut=st.integers(0, 4500), form=st.sampled_from(KINDS))
@hypothesis_settings(max_examples=60, deadline=None)
def test_what_was_cut_counts_up_to_there_and_the_rest_is_written_again(
    tmp_path_factory: pytest.TempPathFactory,
    which: Callable[[Path], Path],
    cut: int,
    form: str,
) -> None:
    output = tmp_path_factory.mktemp("out") / f"f.{form}"
    leave(output)
    whole = {path: path.read_bytes() for path in (part_of(output), journal_of(output))}
    path = which(output)
    least = whole[path].index(b"\n") + 1 if path == journal_of(output) else 0
    os.truncate(path, least + cut % (len(whole[path]) - least))
    found = taken_up(output)
    assert found in [before(told) for told in range(6)]
    with closing(work(output)) as made:
        made.start(settings(output, began_ns=7))
        for batch in BATCHES:
            images = [image for image in batch[0] if image.name not in found]
            made.add(images, [told for told in batch[1] if told not in found])
    assert taken_up(output) == before(6)
    assert part_of(output).read_bytes() == whole[part_of(output)]


GARBLED = [
    b"\0" * 20 + b"\n",
    b"\xff\n",
    b"\n",
    b"[]\n",
    b"null\n",
    b'["x"]\n',
    b'["x", [1, 2], 3, 4, 5]\n',
    b'["x", "reason", 5]\n',
    b'["x", "reason", [1, 2, 3]]\n',
]


@pytest.mark.parametrize("garbled", GARBLED)
@pytest.mark.parametrize("line", [1, 2, 6])
def test_lines_count_up_to_the_first_that_is_garbled(
    unfinished: Path, line: int, garbled: bytes
) -> None:
    change(journal_of(unfinished), lambda lines: lines.__setitem__(line, garbled))
    assert taken_up(unfinished) == before(line - 1)


@pytest.mark.parametrize(
    "first", [b"", b'{"layer": "fc', b"\0\0\0\n", b"\xff\n", b"[]\n", b"5\n", b'"settings"\n']
)
def test_work_whose_settings_are_garbled_is_of_none(unfinished: Path, first: bytes) -> None:
    journal_of(unfinished).write_bytes(first)
    made = work(unfinished)
    assert (made.settings, made.entries, made.failures) == ({}, [], [])


@pytest.mark.parametrize("bad", range(4))
def test_rows_count_up_to_the_first_that_has_not_its_checksum(unfinished: Path, bad: int) -> None:
    crc32 = work(unfinished).entries[bad].crc32.encode()
    change(
        journal_of(unfinished),
        lambda lines: lines.__setitem__(
            slice(None), [line.replace(crc32, b"00000000") for line in lines]
        ),
    )
    assert taken_up(unfinished) == before(TOLD.index(f"{bad}.jpg"))


def test_a_row_that_is_not_told_of_does_not_count(unfinished: Path) -> None:
    change(journal_of(unfinished), lambda lines: lines.pop())
    assert taken_up(unfinished) == before(5)


@pytest.mark.parametrize("lost", [part_of, journal_of])
def test_work_without_one_of_its_files_does_not_count(
    unfinished: Path, lost: Callable[[Path], Path]
) -> None:
    lost(unfinished).unlink()
    assert taken_up(unfinished) == []


def test_what_does_not_count_is_cut_off_when_it_goes_on(unfinished: Path) -> None:
    sizes = part_of(unfinished).stat().st_size, journal_of(unfinished).stat().st_size
    for path in (part_of(unfinished), journal_of(unfinished)):
        with open(path, "ab") as file:
            file.write(b"junk")
    with closing(work(unfinished)) as made:
        made.start({})
    assert (part_of(unfinished).stat().st_size, journal_of(unfinished).stat().st_size) == sizes
