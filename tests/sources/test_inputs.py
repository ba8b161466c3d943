from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sources import on_stdin
from vggfeat.errors import VggfeatError
from vggfeat.sources import open_inputs


@pytest.fixture
def imgs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: `one.jpg`, and `imgs` with `a.jpg`, `b.jpg` and a text file."""
    (tmp_path / "imgs").mkdir()
    for name in ("one.jpg", "imgs/a.jpg", "imgs/b.jpg", "imgs/notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("imgs")
def test_inputs_keep_the_order_in_which_they_are_named() -> None:
    inputs = open_inputs(["one.jpg", "imgs", "imgs/b.jpg"])

    assert [ref.name for ref in inputs] == ["one.jpg", "imgs/a.jpg", "imgs/b.jpg", "imgs/b.jpg"]
    assert inputs.total == 4
    assert inputs.names == ["one.jpg", "imgs", "imgs/b.jpg"]


@pytest.mark.usefixtures("imgs")
def test_an_input_named_twice_counts_twice() -> None:
    inputs = open_inputs(["imgs", "imgs"])

    assert [ref.name for ref in inputs] == ["imgs/a.jpg", "imgs/b.jpg"] * 2
    assert inputs.total == 4
    assert inputs.skipped.not_images == 2


@pytest.mark.usefixtures("imgs")
def test_listed_inputs_can_be_gone_through_again() -> None:
    inputs = open_inputs(["imgs"])

    assert list(inputs) == list(inputs)


def test_no_inputs_are_no_images() -> None:
    inputs = open_inputs([])

    assert list(inputs) == []
    assert inputs.total == 0


@pytest.mark.usefixtures("imgs")
def test_a_list_stands_where_it_is_named_among_other_inputs() -> None:
    with on_stdin(b"imgs/b.jpg\n"):
        inputs = open_inputs(["one.jpg", "-", "imgs/a.jpg"])
        names = [ref.name for ref in inputs]

    assert names == ["one.jpg", "imgs/b.jpg", "imgs/a.jpg"]


@pytest.mark.usefixtures("imgs")
def test_with_a_list_the_number_of_images_is_not_known() -> None:
    with on_stdin(b"imgs/b.jpg\n"):
        assert open_inputs(["one.jpg", "-"]).total is None


@pytest.mark.usefixtures("imgs")
def test_a_folder_on_a_list_stands_for_its_images() -> None:
    with on_stdin(b"one.jpg\nimgs\n"):
        inputs = open_inputs(["-"])
        names = [ref.name for ref in inputs]

    assert names == ["one.jpg", "imgs/a.jpg", "imgs/b.jpg"]
    assert inputs.skipped.not_images == 1


@pytest.mark.usefixtures("imgs")
def test_a_path_on_a_list_that_does_not_exist_fails_when_read() -> None:
    with on_stdin(b"gone.jpg\none.jpg\n"):
        gone, whole = open_inputs(["-"])

    assert gone.name == "gone.jpg"
    with pytest.raises(FileNotFoundError):
        gone.read()
    assert whole.read().data == b"one.jpg"


@pytest.mark.usefixtures("imgs")
def test_a_nul_within_a_line_is_one_bad_path_and_stops_nothing() -> None:
    with on_stdin(b"one\0.jpg\none.jpg\n"):
        odd, whole = open_inputs(["-"])

    with pytest.raises(ValueError, match="null"):
        odd.read()
    assert whole.read().data == b"one.jpg"


@pytest.mark.usefixtures("imgs")
def test_a_dash_on_a_list_is_a_file_of_that_name() -> None:
    Path("-").write_bytes(b"dash")
    with on_stdin(b"-\n"):
        (ref,) = open_inputs(["-"])

    assert ref.read().data == b"dash"


@pytest.mark.usefixtures("imgs")
def test_a_list_is_not_touched_until_it_is_needed() -> None:
    reading, writing = os.pipe()
    with on_stdin(os.fdopen(reading, "rb")), os.fdopen(writing, "wb"):
        refs = iter(open_inputs(["one.jpg", "-"]))

        # Nothing is on the pipe yet: reading it now would wait without end.
        assert next(refs).name == "one.jpg"


@pytest.mark.usefixtures("imgs")
def test_a_named_path_that_does_not_exist_is_refused_before_a_list_is_read() -> None:
    with (
        on_stdin(b"one.jpg\n"),
        pytest.raises(VggfeatError, match=r"^gone: no such file or folder$"),
    ):
        open_inputs(["-", "gone"])
