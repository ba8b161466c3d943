"""What earlier runs have made and does not count: all is computed anew, and it is said why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sinks.outputs import KINDS, Run, cut_off, failure, files, row, rows, run, settings
from vggfeat import VggfeatError
from vggfeat.sinks.files import FileSink
from vggfeat.sinks.index import beside

IMAGES = [row(0), failure("bad.jpg"), row(1)]


@pytest.fixture(params=KINDS)
def output(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / f"f.{request.param}"


def test_a_run_that_is_begun_anew_takes_nothing(output: Path) -> None:
    run(output, IMAGES)
    cut_off(output, [*IMAGES, row(2)])
    fresh = run(output, [*IMAGES, row(2)], fresh=True)
    assert fresh.computed == ["0.jpg", "bad.jpg", "1.jpg", "2.jpg"]
    assert (fresh.sink.resumed, fresh.notes) == (0, [])
    assert fresh.sink.before


FC6 = [{"layer": "fc6", "shape": [5], "file": "f.npy"}]


def test_other_settings_are_named_and_nothing_counts(output: Path) -> None:
    run(output, IMAGES)
    other = run(output, IMAGES, layers=FC6)
    assert other.computed == ["0.jpg", "bad.jpg", "1.jpg"]
    assert other.notes == ["all is computed anew: layer fc6, not fc7"]
    assert run(output, IMAGES, layers=FC6).computed == []


def test_work_of_other_settings_gives_way(output: Path) -> None:
    run(output, rows([0]))
    cut_off(output, rows([0, 1]), layers=FC6)
    assert run(output, rows([0, 1])).computed == ["1.jpg"]


def test_other_versions_keep_the_rows_and_try_what_failed_again(output: Path) -> None:
    run(output, IMAGES[:2])
    cut_off(output, [*IMAGES[:2], failure("bad 2.jpg"), row(1)])
    for other in ({"versions": {"pillow": "12.1"}}, {"vggfeat": "1.1"}):
        images = [*IMAGES, failure("bad 2.jpg")]
        newer = Run(output, images, **other)
        newer.work()
        assert newer.computed == ["bad.jpg", "bad 2.jpg"]
        assert newer.notes == []
        newer.sink.keep()


def test_companions_that_do_not_belong_together_are_made_anew(output: Path) -> None:
    run(output, IMAGES)
    beside(output).rows.write_bytes(b"torn")
    torn = run(output, IMAGES)
    assert torn.computed == ["0.jpg", "bad.jpg", "1.jpg"]
    assert torn.notes == [
        f"all is computed anew: {beside(output).rows} and f.json do not belong together"
    ]


def test_rows_that_were_cut_off_or_are_gone_are_made_anew(output: Path) -> None:
    run(output, IMAGES)
    output.write_bytes(output.read_bytes()[:-1])
    cut = run(output, IMAGES)
    assert (len(cut.computed), cut.notes) == (3, [f"all is computed anew: {output} was cut short"])
    output.unlink()
    gone = run(output, IMAGES)
    assert (len(gone.computed), gone.notes) == (3, [f"all is computed anew: {output} is missing"])


@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_that_vggfeat_did_not_write_is_refused_and_stays(output: Path, fresh: bool) -> None:
    run(output, IMAGES)
    output.write_bytes(b"another's" * 1000)
    there = files(output.parent)
    with pytest.raises(VggfeatError, match=f"^{output}: is not what vggfeat wrote there"):
        FileSink(output, settings(output), fresh=fresh)
    assert files(output.parent) == there
