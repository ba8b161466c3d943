"""Work in progress: what a run has done is taken up by the next one."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.sinks.outputs import TWO_LAYERS, Run, rows, settings
from tests.sinks.unfinished import before, taken_up, work
from vggfeat import VggfeatError
from vggfeat.sinks.part import Part
from vggfeat.sinks.vectors import vectors_of
from vggfeat.sinks.work import Work, journal_of, part_of


def test_what_was_done_is_taken_up(unfinished: Path) -> None:
    assert taken_up(unfinished) == before(6)
    assert work(unfinished).settings == settings(unfinished, began_ns=7)


def test_its_names_are_beside_the_output() -> None:
    assert part_of(Path("a/f.npy")) == Path("a/f.npy.part")
    assert journal_of(Path("a/f.npy")) == Path("a/f.npy.journal")


def test_nothing_counts_before_it_is_taken_up(unfinished: Path) -> None:
    made = work(unfinished, resume=False)
    assert (made.entries, made.failures) == ([], [])


def test_added_rows_are_told_as_they_are_in_the_index(unfinished: Path) -> None:
    with closing(work(unfinished)) as made:
        made.start({})
        images = rows([4, 5])
        told = made.add(images, [])
        assert made.entries[4:] == told
    assert [(entry.name, entry.stamp, entry.sha256) for entry in told] == [
        image[:3] for image in images
    ]
    assert work(unfinished).entries[4:] == told


def test_work_that_is_not_taken_up_is_begun_anew(unfinished: Path) -> None:
    other = settings(unfinished, layer="fc6")
    with closing(work(unfinished, resume=False)) as made:
        made.start(other)
        assert made.settings == other
        made.add(rows([7]), [])
    assert taken_up(unfinished) == ["7.jpg"]
    assert work(unfinished).settings == other
    assert len(journal_of(unfinished).read_bytes().splitlines()) == 2


def test_each_batch_is_on_the_disk_rows_first(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    with closing(work(unfinished)) as made:
        made.start({})
        monkeypatch.setattr(
            "vggfeat.sinks.part.Part.sync", lambda part: synced.append(part.path.name)
        )
        made.add(rows([4]), [])
    assert synced == [f"{unfinished.name}.part", f"{unfinished.name}.journal"]


def test_removed_it_is_gone_and_may_be_already(unfinished: Path) -> None:
    made = work(unfinished)
    made.remove()
    assert list(unfinished.parent.iterdir()) == []
    made.remove()


def test_a_place_where_nothing_can_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VggfeatError, match="f.npy.journal: cannot be written: No such file"):
        work(tmp_path / "gone" / "f.npy").start({})


def test_a_line_of_the_journal_is_json(unfinished: Path) -> None:
    assert all(json.loads(line) for line in journal_of(unfinished).read_bytes().splitlines())


@pytest.mark.parametrize("reached", range(3))
def test_a_run_of_other_layers_that_dies_leaves_no_file_that_nothing_tells_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: int
) -> None:
    """Of whatever layers the next one is."""
    output = tmp_path / "f.npy"
    told = settings(output)
    Run(output, rows([0]), layers=TWO_LAYERS).work()
    with monkeypatch.context() as patched:
        opened: list[Path] = []

        def dying(path: Path, length: int) -> Part:
            if len(opened) == reached:
                raise KeyboardInterrupt
            opened.append(path)
            return Part(path, length)

        patched.setattr("vggfeat.sinks.work.Part", dying)
        with suppress(KeyboardInterrupt):
            Work(output, vectors_of(output, told)).start(told)
    Run(output, rows([0]), layers=TWO_LAYERS).publish()
    assert not list(output.parent.glob("*.part"))
