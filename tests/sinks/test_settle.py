"""A run that dies while it publishes: what it began is ended or taken back, and nothing is lost."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.sinks import outputs
from tests.sinks.crashes import Crash, crashing
from tests.sinks.outputs import Run, contents, failure, files, from_scratch, row, rows, run
from vggfeat import VggfeatError
from vggfeat.outcome import Failure, Row
from vggfeat.sinks.index import beside
from vggfeat.sinks.published import read
from vggfeat.sinks.settle import settle, write_header

Images = Iterable[Row | Failure]

BEFORE: list[Row | Failure] = [row(0), failure("bad.jpg"), row(1)]
AFTER: dict[str, list[Row | Failure]] = {
    "appended": [*BEFORE, row(2), failure("bad 2.jpg")],
    "renamed": [row(5), row(6)],
    "assembled": [row(2), *BEFORE],
    "failures gone": [row(0), row(1), row(2)],
    "rows as before": [row(0), failure("bad 2.jpg"), row(1)],
    "index only": [row(0, mtime_ns=7), *BEFORE[1:]],
    "nothing": BEFORE,
    "no rows": [failure("bad.jpg")],
}
WAYS = pytest.mark.parametrize("way", AFTER)
FORMS = pytest.mark.parametrize("form", outputs.KINDS)


def published(output: Path) -> dict[str, Any]:
    """What of an output's folder a reader sees."""
    unseen = (".part", ".journal", ".new")
    return {name: data for name, data in contents(output).items() if not name.endswith(unseen)}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system does not fail, so nothing has to be on the disk."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def put(output: Path, there: dict[str, bytes]) -> None:
    """Have these files in an output's folder, and no others."""
    for path in output.parent.iterdir():
        if path.is_file():
            path.unlink()
    for name, data in there.items():
        output.with_name(name).write_bytes(data)


def made(output: Path, images: Images | None, *, cut_off: Images = ()) -> dict[str, bytes]:
    """The files of a run that has published, and of one after it that was cut off."""
    if images is not None:
        Run(output, images).publish()
    Run(output, cut_off).work()
    return files(output.parent)


def crash(step: int, act: Callable[[], object]) -> bool:
    """Do something up to that step; whether there was one."""
    with crashing(step):
        try:
            act()
        except Crash:
            return True
    return False


def check_settled(output: Path, before: dict[str, Any], after: dict[str, Any]) -> bool:
    """One of both is there, whole; whether the later."""
    assert not [name for name in files(output.parent) if name.endswith(".new")]
    found = published(output)
    assert found in (before, after)
    assert (read(output) is None) == (not found)
    return found == after


def check_next_run(output: Path, images: Images, after: dict[str, Any]) -> list[str]:
    """The next run ends as if nothing had been; the images that it computed."""
    done = Run(output, images).publish()
    assert contents(output) == after
    assert not done.notes
    return done.computed


@FORMS
@WAYS
@pytest.mark.parametrize("images", [BEFORE, None])
def test_between_any_two_steps_one_generation_is_whole_and_the_next_run_goes_on(
    tmp_path: Path, form: str, way: str, images: Images | None
) -> None:
    output = tmp_path / f"f.{form}"
    there = made(output, images)
    before, after = published(output), from_scratch(output, AFTER[way])
    decided: list[bool] = []
    for step in itertools.count():
        put(output, there)
        if not crash(step, lambda: Run(output, AFTER[way]).publish()):
            break
        settle(output)
        decided.append(check_settled(output, before, after))
        computed = check_next_run(output, AFTER[way], after)
        assert not (decided[-1] and computed)
    assert step > 8
    assert decided == sorted(decided)
    assert before == after or set(decided) == {False, True}


@WAYS
@pytest.mark.parametrize("images", [BEFORE, None])
def test_so_it_is_with_several_layers(
    tmp_path: Path, way: str, images: Images | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(outputs.SETTINGS, "layers", outputs.TWO_LAYERS)
    test_between_any_two_steps_one_generation_is_whole_and_the_next_run_goes_on(
        tmp_path, "npy", way, images
    )


@pytest.mark.parametrize("layers", [outputs.ONE_LAYER, outputs.TWO_LAYERS])
def test_between_any_two_steps_from_other_layers_to_these_one_of_both_is_whole(
    tmp_path: Path, layers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = outputs.ONE_LAYER if len(layers) > 1 else outputs.TWO_LAYERS
    output = tmp_path / "f.npy"
    monkeypatch.setitem(outputs.SETTINGS, "layers", others)
    there = made(output, BEFORE, cut_off=[*BEFORE, row(2)])
    before = published(output)
    monkeypatch.setitem(outputs.SETTINGS, "layers", layers)
    after = from_scratch(output, BEFORE)
    for step in itertools.count():
        put(output, there)
        if not crash(step, lambda: Run(output, BEFORE).publish()):
            break
        settle(output)
        replaced = read(output)
        assert replaced is not None
        assert len(replaced.about["layers"]) in (len(layers), len(others))
        assert published(output).keys() in (before.keys(), after.keys())
        Run(output, BEFORE).publish()
        assert files(output.parent).keys() == after.keys()
    assert step > 8


@FORMS
@WAYS
def test_settling_may_be_cut_off_too_and_done_twice(tmp_path: Path, form: str, way: str) -> None:
    output = tmp_path / f"f.{form}"
    there = made(output, BEFORE)
    before, after = published(output), from_scratch(output, AFTER[way])
    for step in itertools.count(0, 2):
        put(output, there)
        if not crash(step, lambda: Run(output, AFTER[way]).publish()):
            break
        left = files(tmp_path)
        for second in itertools.count():
            put(output, left)
            cut = crash(second, lambda: settle(output))
            settle(output)
            check_settled(output, before, after)
            if not cut:
                break


@FORMS
@WAYS
def test_once_the_work_is_done_no_crash_loses_a_row(tmp_path: Path, form: str, way: str) -> None:
    output = tmp_path / f"f.{form}"
    there = made(output, BEFORE, cut_off=AFTER[way])
    after = from_scratch(output, AFTER[way])
    for step in itertools.count():
        put(output, there)
        if not crash(step, lambda: Run(output, AFTER[way]).publish()):
            break
        assert check_next_run(output, AFTER[way], after) == []
    assert step > 5


@pytest.mark.parametrize("name", ["f.npy", "f.index.csv", "f.failed.csv", "f.json"])
def test_files_of_another_program_are_left_alone(tmp_path: Path, name: str) -> None:
    output = tmp_path / "f.npy"
    made(output, BEFORE)
    for path in output.parent.iterdir():
        if path.name != "f.json":
            path.unlink()
    (tmp_path / name).write_bytes(b"another's, and longer than ours" * 1000)
    there = files(tmp_path)
    settle(output)
    assert files(tmp_path) == there


def test_vectors_that_are_longer_than_told_and_not_ours_stay_so(tmp_path: Path) -> None:
    output = tmp_path / "f.npy"
    longer = made(output, rows(range(9)))["f.npy"]
    made(output, rows([0]))
    output.write_bytes(longer)
    settle(output)
    assert output.read_bytes() == longer


def test_rows_that_are_not_told_are_cut_off(tmp_path: Path) -> None:
    made(output := tmp_path / "f.npy", BEFORE)
    whole = output.read_bytes()
    output.write_bytes(whole + b"rows to come")
    settle(output)
    assert output.read_bytes() == whole


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_permissions_stay_when_files_are_replaced(tmp_path: Path, mode: int) -> None:
    made(output := tmp_path / "f.npy", BEFORE)
    for path in (output, *beside(output)):
        path.chmod(mode)
    run(output, AFTER["assembled"])
    assert {path.stat().st_mode & 0o777 for path in (output, *beside(output))} == {mode}


def test_only_what_differs_of_a_header_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12 rows and more")
    real: Callable[..., int] = os.pwrite
    written: list[tuple[bytes, int]] = []

    def pwrite(fd: int, data: bytes, at: int) -> int:
        written.append((bytes(data), at))
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    write_header(path, b"34 rows")
    assert written == [(b"34", 0)]
    assert path.read_bytes() == b"34 rows and more"
    write_header(path, b"35 rows")
    assert written[1:] == [(b"5", 1)]


def test_a_header_is_written_where_nothing_was(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    write_header(tmp_path / "f", b"header")
    assert (tmp_path / "f").read_bytes() == b"header"


def test_a_place_that_cannot_be_changed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(output := tmp_path / "f.npy", BEFORE)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(VggfeatError, match=f"^{output}: cannot be written: Permission denied"):
        settle(output)
    assert json.loads(beside(output).about.read_text())
