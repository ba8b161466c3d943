"""A new generation is made from as little as can be, and is the same however it is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.sinks.outputs import (
    WIDTH,
    Run,
    contents,
    cut_off,
    failure,
    from_scratch,
    row,
    rows,
    run,
    vectors,
)  # fmt: skip
from vggfeat import sinks
from vggfeat.outcome import Failure, Row
from vggfeat.sinks.copying import Piece
from vggfeat.sinks.index import beside
from vggfeat.sinks.known import Kept
from vggfeat.sinks.part import Part
from vggfeat.sinks.work import part_of

Images = Sequence[Row | Failure]

BEFORE: Images = [row(0), failure("bad.jpg"), row(1)]
FORMS = pytest.mark.parametrize("form", sinks.FORMS)

# What a run finds after one that has found BEFORE, and how the rows of each form are made: of
# .npy, .csv, .safetensors, .npz and .h5, .parquet.
CHANGES: dict[str, tuple[Images, str]] = {
    "nothing else": (BEFORE, "unchanged unchanged unchanged unchanged unchanged"),
    "another stamp": (
        [row(0, mtime_ns=7), *BEFORE[1:]],
        "unchanged unchanged unchanged unchanged assembled",
    ),
    "another failure": (
        [*rows([0, 1]), failure("b")],
        "unchanged unchanged unchanged unchanged unchanged",
    ),
    "another name": (
        [row(0, "new.jpg"), *BEFORE[1:]],
        "unchanged assembled unchanged assembled assembled",
    ),
    "more": ([*BEFORE, *rows([2, 3])], "appended assembled assembled assembled assembled"),
    "a copy": (
        [*BEFORE, row(0, "copy.jpg")],
        "appended assembled assembled assembled assembled",
    ),
    "others": (rows([7, 8]), "renamed renamed renamed assembled assembled"),
    "one before": (rows([2, 0, 1]), "assembled assembled assembled assembled assembled"),
    "one less": (rows([0]), "assembled assembled assembled assembled assembled"),
    "another order": (rows([1, 0]), "assembled assembled assembled assembled assembled"),
    "no rows": ([failure("bad.jpg")], "assembled assembled assembled assembled assembled"),
}


def way(form: str, change: str) -> str:
    npy, csv, safetensors, container, parquet = CHANGES[change][1].split()
    return {"npy": npy, "csv": csv, "safetensors": safetensors, "parquet": parquet}.get(
        form, container
    )


def inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None


def way_of(output: Path, images: Images, monkeypatch: pytest.MonkeyPatch) -> str:
    """Publish, and tell from where the rows are afterwards how they have come there."""
    before = inode(output)
    copied: list[Path] = []
    copy = Part.copy

    def counted(part: Part, pieces: Iterable[Piece]) -> None:
        copied.append(part.path)
        copy(part, pieces)

    with monkeypatch.context() as patched:
        patched.setattr(Part, "copy", counted)
        done = (made := Run(output, images)).work()
        work = inode(part_of(output))
        count = sum(isinstance(item, Kept) for item in done)
        made.sink.publish(done, {"rows": count, "failed": len(done) - count, "runs": []})
    kept = {before: "appended", work: "copied into itself"} if copied else {
        before: "unchanged", work: "renamed"
    }  # fmt: skip
    return kept.get(inode(output), "assembled")


@FORMS
@pytest.mark.parametrize("change", CHANGES)
def test_each_way_of_making_the_rows_is_taken_where_it_serves_and_gives_the_same(
    tmp_path: Path, form: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(output := tmp_path / f"f.{form}", BEFORE)
    images = CHANGES[change][0]
    assert way_of(output, images, monkeypatch) == way(form, change)
    assert contents(output) == from_scratch(output, images)
    expected = [image.features[0] for image in images if isinstance(image, Row)]
    np.testing.assert_array_equal(vectors(output), np.reshape(expected, (-1, WIDTH)))


@pytest.mark.parametrize("form", sinks.STREAMS)
def test_where_nothing_was_the_work_becomes_the_output(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / f"f.{form}"
    cut_off(output, BEFORE)
    assert way_of(output, [*BEFORE, row(2)], monkeypatch) == "renamed"
    assert contents(output) == from_scratch(output, [*BEFORE, row(2)])


@FORMS
def test_work_of_which_not_all_is_wanted_or_in_another_order_is_copied(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for images in (rows([1, 2]), rows([0, 2, 1])):
        output = tmp_path / str(len(images)) / f"f.{form}"
        output.parent.mkdir()
        cut_off(output, rows([0, 1, 2]))
        assert way_of(output, images, monkeypatch) == "assembled"
        assert contents(output) == from_scratch(output, images)


def test_a_second_name_of_the_output_keeps_what_it_had(tmp_path: Path) -> None:
    run(output := tmp_path / "f.npy", BEFORE)
    (copy := tmp_path / "kept" / "f.npy").parent.mkdir()
    copy.hardlink_to(output)
    before = copy.read_bytes()
    run(output, [*BEFORE, row(2)])
    assert copy.read_bytes() == before
    assert inode(output) != inode(copy)


def test_an_output_that_is_not_to_be_written_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(output := tmp_path / "f.npy", BEFORE)
    real: Callable[..., bool] = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != output and real(path, mode))
    assert way_of(output, [*BEFORE, row(2)], monkeypatch) == "assembled"
    assert contents(output) == from_scratch(output, [*BEFORE, row(2)])


def test_readers_that_have_the_output_open_keep_their_rows(tmp_path: Path) -> None:
    run(output := tmp_path / "f.npy", BEFORE)
    mapped = np.load(output, mmap_mode="r")
    before = mapped.copy()
    for change in ("more", "one before", "others"):
        run(output, CHANGES[change][0])
        np.testing.assert_array_equal(mapped, before)


@FORMS
def test_where_all_is_as_it_was_only_the_account_of_the_runs_is_written(
    tmp_path: Path, form: str
) -> None:
    run(output := tmp_path / f"f.{form}", BEFORE)
    _, index, failed = beside(output)
    there = {path: path.stat() for path in (output, index, failed)}
    run(output, BEFORE)
    for path, before in there.items():
        after = path.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@FORMS
@pytest.mark.parametrize("change", ["more", "a copy", "others", "one before", "another failure"])
def test_all_is_on_the_disk_before_it_is_decided(
    tmp_path: Path, form: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(output := tmp_path / f"f.{form}", BEFORE)
    before = output.read_bytes()
    made = Run(output, CHANGES[change][0])
    synced: set[int] = set()
    lacking: list[set[str]] = []
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], None] = os.replace

    def noted(fd: int) -> None:
        synced.add(os.fstat(fd).st_ino)
        fsync(fd)

    def checked(source: Path, target: Path) -> None:
        if target == beside(output).about:
            ready = [tmp_path, *tmp_path.glob("*.new")]
            if output.read_bytes() != before:
                ready.append(output)
            lacking.append({path.name for path in ready if inode(path) not in synced})
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", checked)
    done = made.work()
    synced.clear()
    count = sum(isinstance(item, Kept) for item in done)
    made.sink.publish(done, {"rows": count, "failed": len(done) - count, "runs": []})
    assert lacking == [set()]
