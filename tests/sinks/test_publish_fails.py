"""A new generation that cannot be made or not be ended: what was there or done is not lost."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sinks.outputs import (
    KINDS,
    Run,
    contents,
    csv_lines,
    cut_off,
    failure,
    files,
    from_scratch,
    row,
    rows,
    run,
)  # fmt: skip
from vggfeat import VggfeatError, sinks
from vggfeat.errors import Interrupted
from vggfeat.outcome import Failure, Row
from vggfeat.sinks import settle

BEFORE: list[Row | Failure] = [row(0), failure("bad.jpg"), row(1)]
CHANGES: dict[str, list[Row | Failure]] = {
    "nothing else": BEFORE,
    "another stamp": [row(0, mtime_ns=7), *BEFORE[1:]],
    "another failure": [*rows([0, 1]), failure("b")],
    "more": [*BEFORE, *rows([2, 3])],
    "others": [*rows([7, 8])],
    "one before": [*rows([2, 0, 1])],
    "no rows": [failure("bad.jpg")],
}
FORMS = pytest.mark.parametrize("form", KINDS)


@FORMS
@pytest.mark.parametrize("change", CHANGES)
def test_a_disk_that_fails_at_any_moment_costs_nothing_that_was_there_or_done(
    tmp_path: Path, form: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, images = tmp_path / f"f.{form}", CHANGES[change]
    scratch = from_scratch(output, images)
    for good in itertools.count():
        Run(output, BEFORE, fresh=True).publish()
        before = contents(output)
        cut_off(output, images)
        made = Run(output, images)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", failing_after(good))
            error = error_of(made)
        made.sink.keep()
        assert not [name for name in files(tmp_path) if name.endswith(".new")]
        seen = {name: data for name, data in contents(output).items() if name in before | scratch}
        assert seen in (before, scratch) if error else seen == scratch
        assert Run(output, images).publish().computed == []
        assert contents(output) == scratch
        if not error:
            break
        assert error.endswith("cannot be written: No space left on device")
    assert good > 1


@pytest.mark.parametrize("form", sinks.CONTAINERS)
def test_a_disk_that_is_full_while_a_container_is_written_costs_nothing(
    tmp_path: Path, form: str
) -> None:
    run(output := tmp_path / f"f.{form}", BEFORE)
    before = contents(output)
    images = [*BEFORE, *rows(range(2, 30))]
    made = Run(output, images)
    done = made.work()
    with files_up_to(2000):
        with pytest.raises(VggfeatError, match=rf"f\.{form}\.new: cannot be written: File too l"):
            made.sink.publish(done, {"rows": 30, "failed": 1, "runs": []})
        made.sink.keep()
    assert {name: data for name, data in contents(output).items() if name in before} == before
    assert run(output, images).computed == []


@contextmanager
def files_up_to(length: int) -> Iterator[None]:
    """No file can become longer, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def failing_after(good: int) -> Callable[[int], None]:
    left = iter(range(good))

    def fsync(fd: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    return fsync


def error_of(made: Run) -> str:
    """Publish; what went wrong."""
    try:
        made.publish()
    except VggfeatError as error:
        return str(error)
    return ""


@FORMS
def test_who_is_interrupted_after_the_decision_ends_what_was_decided(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(output := tmp_path / f"f.{form}", BEFORE)
    images = [*BEFORE, row(2)]
    real = settle.sync_folder
    interruptions = iter([Interrupted(signal.SIGTERM)])

    def interrupted(folder: Path) -> None:
        for interruption in interruptions:
            raise interruption
        real(folder)

    monkeypatch.setattr(settle, "sync_folder", interrupted)
    with pytest.raises(Interrupted):
        Run(output, images).publish()
    found, expected = contents(output), from_scratch(output, images)
    assert {name: found[name] for name in expected} == expected
    assert Run(output, images).publish().computed == []
    assert contents(output) == expected


def test_rows_that_are_damaged_are_not_handed_on(tmp_path: Path) -> None:
    run(output := tmp_path / "f.csv", BEFORE)
    info = output.stat()
    output.write_bytes(output.read_bytes().replace(b"1.jpg", b"X.jpg"))
    os.utime(output, ns=(info.st_atime_ns, info.st_mtime_ns))  # as if a disk had done it
    there = files(tmp_path)
    made = Run(output, rows([2, 0, 1]))
    with pytest.raises(VggfeatError, match=f"^{output}: damaged behind row 1: --fresh computes"):
        made.publish()
    made.sink.keep()
    found = files(tmp_path)
    assert {name: found[name] for name in there} == there
    assert found.keys() - there.keys() == {"f.csv.part", "f.csv.journal"}
    assert Run(output, rows([2, 0, 1]), fresh=True).publish().computed
    assert [line[0] for line in csv_lines(output.read_bytes())[1:]] == ["2.jpg", "0.jpg", "1.jpg"]


def test_rows_put_back_from_elsewhere_are_looked_at_and_not_kept(tmp_path: Path) -> None:
    """The companions of an earlier run, with as many rows, beside the vectors of a later one."""
    run(output := tmp_path / "f.npy", rows([0, 1, 2]))
    older = {name: data for name, data in files(tmp_path).items() if name != "f.npy"}
    run(output, rows([1, 2, 3]))
    for name, data in older.items():
        (tmp_path / name).write_bytes(data)
    made = run(output, rows([0, 1, 2]))
    assert made.notes == [f"all is computed anew: rows of {output} are not those that are listed"]


def test_vectors_that_were_only_touched_are_kept(tmp_path: Path) -> None:
    run(output := tmp_path / "f.npy", rows([0, 1, 2]))
    os.utime(output, ns=(1, 1))
    made = run(output, rows([0, 1, 2]))
    assert (made.notes, made.computed) == ([], [])


@pytest.mark.parametrize("name", ["f.npy", "f.csv"])
def test_what_a_dead_run_left_behind_its_rows_is_not_published(tmp_path: Path, name: str) -> None:
    cut_off(output := tmp_path / name, rows([0, 1]))
    with open(tmp_path / f"{name}.part", "ab") as file:
        file.write(b"2.jpg,0.5,0")
    assert run(output, rows([0, 1])).computed == []
