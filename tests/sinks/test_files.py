"""Output to files, from run to run: what is known, what is computed, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sinks.outputs import (
    KINDS,
    LONG_AGO,
    Run,
    cut_off,
    failure,
    files,
    row,
    rows,
    run,
    vectors,
)  # fmt: skip
from vggfeat import sinks
from vggfeat.outcome import Failure, Recognised, Row
from vggfeat.sinks.index import beside
from vggfeat.sinks.known import Kept
from vggfeat.sinks.work import journal_of, part_of

IMAGES = [row(0), failure("bad.jpg"), row(1)]


@pytest.fixture(params=sinks.FORMS)
def output(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / f"f.{request.param}"


def names(*companions: str) -> set[str]:
    return {"f.json", "f.index.csv", *companions}


def test_a_run_leaves_the_output_and_its_companions_and_nothing_else(output: Path) -> None:
    run(output, IMAGES)
    assert files(output.parent).keys() == names(output.name, "f.failed.csv")
    run(output, rows([0]))
    assert files(output.parent).keys() == names(output.name)
    run(output, [failure("bad.jpg")])
    assert files(output.parent).keys() == names(output.name, "f.failed.csv")
    assert vectors(output).shape == (0, 5)


def test_the_first_run_knows_nothing(output: Path) -> None:
    first = Run(output, IMAGES)
    assert (first.sink.before, first.sink.resumed, list(first.sink.known.rows)) == (None, 0, [])
    assert files(output.parent) == {}
    assert first.publish().computed == ["0.jpg", "bad.jpg", "1.jpg"]
    assert first.notes == []


def test_the_second_run_computes_what_is_new(output: Path) -> None:
    run(output, IMAGES)
    second = run(output, [row(7), *IMAGES])
    assert second.computed == ["7.jpg"]
    assert second.sink.resumed == 0
    assert second.sink.before
    assert [entry.name for entry in second.sink.before.entries] == ["0.jpg", "1.jpg"]


def test_a_run_that_was_cut_off_is_gone_on_with(output: Path) -> None:
    cut_off(output, IMAGES)
    assert files(output.parent).keys() == {part_of(output).name, journal_of(output).name}
    second = run(output, [*IMAGES, row(2)])
    assert second.computed == ["2.jpg"]
    assert second.sink.resumed == 2
    assert second.sink.before is None


def test_what_is_published_and_what_was_cut_off_count_together(output: Path) -> None:
    run(output, rows([0, 1]))
    cut_off(output, rows([2, 3, 4]))
    third = run(output, rows([4, 0, 5, 2]))
    assert third.computed == ["5.jpg"]
    assert third.sink.resumed == 3


def test_the_output_is_as_old_as_the_oldest_run_whose_work_is_in_it(output: Path) -> None:
    Run(output, IMAGES, began_ns=LONG_AGO + 10**13).work()
    Run(output, [*IMAGES, row(2)], began_ns=LONG_AGO + 10**14).publish()
    assert json.loads(beside(output).about.read_text())["began_ns"] == LONG_AGO + 10**13


@pytest.mark.parametrize("ended", [True, False])
def test_an_image_under_another_name_has_its_row(output: Path, ended: bool) -> None:
    (run if ended else cut_off)(output, IMAGES)
    renamed = [row(1, "renamed.jpg"), row(0, mtime_ns=7), failure("bad.jpg"), row(1, "copy.jpg")]
    assert run(output, renamed).computed == []


def test_each_outcome_is_told_where_it_is_in_order(output: Path) -> None:
    run(output, rows([0, 1]))
    sink = Run(output, []).sink
    renamed = Recognised("renamed.jpg", row(1).stamp, row(1).sha256)
    sink.write(rows([5]))
    done = sink.write([failure("bad.jpg"), row(6), renamed, row(7)])
    assert done[0] == failure("bad.jpg")
    assert [
        (kept.entry.name, kept.published, kept.row) for kept in done if isinstance(kept, Kept)
    ] == [("6.jpg", False, 1), ("renamed.jpg", True, 1), ("7.jpg", False, 2)]
    sink.keep()


def test_contents_are_those_of_all_rows(output: Path) -> None:
    run(output, rows([0]))
    cut_off(output, rows([0, 1]))
    contents = Run(output, []).sink.contents
    assert [row(number).sha256 in contents for number in range(3)] == [True, True, False]


def test_a_run_that_ends_early_says_what_is_kept(output: Path) -> None:
    cut_off(output, IMAGES)
    made = Run(output, [*IMAGES, row(2)])
    made.work()
    assert made.sink.keep() == "3 rows are kept for the next run"
    assert run(output, [*IMAGES, row(2)]).computed == []


def test_a_run_that_ends_early_with_nothing_leaves_nothing(output: Path) -> None:
    made = Run(output, [])
    assert made.sink.write([]) == []
    assert made.sink.keep() is None
    assert files(output.parent) == {}


def test_failures_alone_are_kept_as_well(output: Path) -> None:
    made = Run(output, [failure("bad.jpg")])
    made.work()
    assert made.sink.keep() is None
    assert run(output, [failure("bad.jpg")]).computed == []


images = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.integers(0, 5), st.booleans()),
    max_size=6,
    unique_by=lambda image: image[0],
)


def made_of(name: str, content: int, good: bool) -> Row | Failure:
    return row(content, f"{name}.jpg") if good else failure(f"{name}.jpg", size=content)


@pytest.mark.parametrize("form", KINDS)
@given(runs=st.lists(st.tuples(images, st.booleans()), min_size=2, max_size=6))
@settings(max_examples=20, deadline=None)
def test_however_images_come_and_go_an_output_is_as_if_made_at_once(
    tmp_path_factory: pytest.TempPathFactory,
    form: str,
    runs: list[tuple[list[tuple[str, int, bool]], bool]],
) -> None:
    output = tmp_path_factory.mktemp("out") / f"f.{form}"
    there: set[str] = set()
    for listed, is_cut_off in runs:
        found = [made_of(*image) for image in listed]
        if is_cut_off:
            cut_off(output, found)
            continue
        done = run(output, found)
        hashes = {image.name: image.sha256 for image in found if isinstance(image, Row)}
        assert not {hashes[name] for name in done.computed if name in hashes} & there
        there = set(hashes.values())
