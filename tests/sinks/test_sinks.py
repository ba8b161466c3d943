"""One contract for all forms of output, and what keeps files whole."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from vggfeat import VggfeatError, sinks
from vggfeat.errors import OutputBusyError
from vggfeat.outcome import Failure, Outcome, Row
from vggfeat.sinks.files import FileSink, check_free
from vggfeat.sinks.index import beside, paths, read_about
from vggfeat.sinks.part import Part

WIDTH = 5
ABOUT: dict[str, object] = {"vggfeat": "0", "output": "f.npy"}

names = st.binary(min_size=1, max_size=30).filter(lambda b: b"\0" not in b).map(os.fsdecode)
vectors = npst.arrays(
    np.float32, WIDTH, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
)
rows = st.builds(Row, names, st.integers(0, 2**40), st.integers(0, 2**62), vectors)
failures = st.builds(Failure, names, st.text(max_size=30).filter(str.isprintable))
batches = st.lists(st.lists(rows | failures, max_size=6), max_size=4)


def read_npy(data: bytes) -> tuple[None, NDArray[np.float32]]:
    return None, np.load(io.BytesIO(data))


def read_csv(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogateescape", newline="")
    header, *lines = csv.reader(text)
    assert header == ["path", *(f"f{number}" for number in range(WIDTH))]
    found = np.array([line[1:] for line in lines], np.float32).reshape(len(lines), WIDTH)
    return [line[0] for line in lines], found


READERS: dict[str, Callable[[bytes], Any]] = {"npy": read_npy, "csv": read_csv}


@pytest.mark.parametrize("form", sinks.FORMS)
@given(batches=batches)
@settings(max_examples=60, deadline=None)
def test_every_form_gives_back_names_and_bits(
    tmp_path_factory: pytest.TempPathFactory, form: str, batches: list[list[Outcome]]
) -> None:
    output = tmp_path_factory.mktemp("out") / f"f.{form}"
    sink = FileSink(output, sinks.form(form), (WIDTH,))
    for batch in batches:
        sink.write(batch)
    assert not output.exists()
    sink.publish(ABOUT)

    expected = [item for batch in batches for item in batch if isinstance(item, Row)]
    failed = [item for batch in batches for item in batch if isinstance(item, Failure)]
    found_names, found = READERS[form](output.read_bytes())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, np.array([row.features for row in expected]).reshape(-1, WIDTH)
    )
    if found_names is not None:
        assert found_names == [row.name for row in expected]

    companions = beside(output)
    assert list(paths(companions.rows)) == [row.name for row in expected]
    assert read_about(companions.about) == ABOUT
    assert companions.failed.exists() == bool(failed)
    if failed:
        with open(companions.failed, "rb") as file:
            text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
            assert [tuple(line) for line in csv.reader(text)][1:] == failed
    leftovers = {path.name for path in output.parent.iterdir()}
    assert leftovers <= {f"f.{form}", "f.json", "f.index.csv", "f.failed.csv"}


@pytest.mark.parametrize("rows", [0, 1, 10**6, 10**12])
def test_the_npy_header_has_one_length_and_numpys_own_content(rows: int) -> None:
    header = sinks.form("npy").header(rows, (4096,))
    assert len(header) == len(sinks.form("npy").header(0, (4096,)))
    version = np.lib.format.read_magic(file := io.BytesIO(header))
    assert version == (1, 0)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    assert (shape, fortran, dtype) == ((rows, 4096), False, np.dtype("<f4"))


def test_maps_are_written_as_maps(tmp_path: Path) -> None:
    features = np.arange(2 * 7 * 7 * 3, dtype=np.float32).reshape(2, 7, 7, 3)
    sink = FileSink(tmp_path / "f.npy", sinks.form("npy"), (7, 7, 3))
    sink.write([Row(str(number), 0, 0, row) for number, row in enumerate(features)])
    sink.publish(ABOUT)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), features)


def row(number: int) -> Row:
    return Row(f"{number}.jpg", 1, 2, np.full(WIDTH, number, np.float32))


def test_what_breaks_off_in_the_middle_of_a_batch_is_cut_off_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = FileSink(tmp_path / "f.npy", sinks.form("npy"), (WIDTH,))
    sink.write([row(0), Failure("bad", "reason"), row(1)])
    write = Part.write

    def half(self: Part, data: bytes, offset: int | None = None) -> None:
        if self.path.name == "f.index.csv.part" and b"2.jpg" in data:
            write(self, data[:3])
            raise VggfeatError("no more")
        write(self, data, offset)

    monkeypatch.setattr(Part, "write", half)
    with pytest.raises(VggfeatError, match="no more"):
        sink.write([row(2)])
    assert sink.keep() == f"2 rows are kept in {tmp_path}/f.npy.part"
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy.part")[:, 0], [0, 1])
    assert list(paths(tmp_path / "f.index.csv.part")) == ["0.jpg", "1.jpg"]
    assert (tmp_path / "f.failed.csv.part").read_text() == "path,reason\nbad,reason\n"
    assert not (tmp_path / "f.npy").exists()


def test_nothing_is_left_where_nothing_was_done(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "f.npy", sinks.form("npy"), (WIDTH,))
    sink.write([Failure("bad", "reason")])
    assert sink.keep() is None
    assert not list(tmp_path.iterdir())


def test_one_output_has_one_writer(tmp_path: Path) -> None:
    first = FileSink(tmp_path / "f.npy", sinks.form("npy"), (WIDTH,))
    with pytest.raises(OutputBusyError, match="another vggfeat is writing it"):
        FileSink(tmp_path / "f.npy", sinks.form("npy"), (WIDTH,))
    first.publish(ABOUT)
    FileSink(tmp_path / "f.npy", sinks.form("npy"), (WIDTH,)).keep()


def test_the_lock_of_a_dead_process_blocks_nobody(tmp_path: Path) -> None:
    (tmp_path / ".f.npy.lock").touch()
    FileSink(tmp_path / "f.npy", sinks.form("npy"), (WIDTH,)).publish(ABOUT)
    assert not (tmp_path / ".f.npy.lock").exists()


@pytest.mark.parametrize(
    ("output", "asked", "form"),
    [("f.npy", None, "npy"), ("f.CSV", None, "csv"), ("f.npy", "csv", "csv"), ("-", None, "csv")],
)
def test_the_form_is_as_asked_else_by_name(output: str, asked: str | None, form: str) -> None:
    assert sinks.form_of(output, asked) == form


def test_companions_have_the_outputs_stem() -> None:
    names = [path.name for path in beside(Path("a/my.feats.npy"))]
    assert names == ["my.feats.json", "my.feats.index.csv", "my.feats.failed.csv"]


def test_an_own_output_may_be_replaced_and_a_broken_json_not(tmp_path: Path) -> None:
    output = tmp_path / "f.npy"
    output.touch()
    beside(output).about.write_text(json.dumps(ABOUT))
    check_free(output)
    beside(output).about.write_text("{")
    with pytest.raises(VggfeatError, match=r"f\.json: was not written by vggfeat"):
        check_free(output)
