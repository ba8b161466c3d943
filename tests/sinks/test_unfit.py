"""Files of rows that can be kept, that were cut or damaged, and that are not ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sinks.outputs import Run, failure, row, rows
from vggfeat import VggfeatError, sinks
from vggfeat.outcome import Failure
from vggfeat.sinks.published import Published, read
from vggfeat.sinks.unfit import unfit

IMAGES = [row(0), failure("bad.jpg"), row(1), Failure("gone.jpg", "no such file")]
COMPANIONS = ["f.json", "f.index.csv", "f.failed.csv"]


@pytest.fixture(params=sinks.FORMS)
def output(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    Run(tmp_path / f"f.{request.param}", IMAGES).publish()
    return tmp_path / f"f.{request.param}"


def there(output: Path) -> Published:
    found = read(output)
    assert found is not None
    return found


def test_its_own_vectors_fit(output: Path) -> None:
    assert unfit(output, there(output)) is None
    os.utime(output)
    assert unfit(output, there(output)) is None


@pytest.mark.parametrize("form", sinks.STREAMS)
def test_what_stands_behind_the_rows_is_no_matter(tmp_path: Path, form: str) -> None:
    Run(output := tmp_path / f"f.{form}", IMAGES).publish()
    with open(output, "ab") as file:
        file.write(b"more")
    assert unfit(output, there(output)) is None


def test_vectors_that_were_cut_or_are_missing_are_unfit(output: Path) -> None:
    published = there(output)
    for length in (published.about["layers"][0]["bytes"] - 1, 5, 0):
        os.truncate(output, length)
        assert unfit(output, published) == f"{output} was cut short"
    output.unlink()
    assert unfit(output, published) == f"{output} is missing"


@pytest.mark.parametrize("edit", [lambda data: b"other", lambda data: b"x" + data[1:]])
def test_another_programs_file_in_the_vectors_place_is_refused(
    output: Path, edit: Callable[[bytes], bytes]
) -> None:
    output.write_bytes(edit(output.read_bytes()))
    with pytest.raises(VggfeatError, match=f"^{output}: is not what vggfeat wrote there"):
        unfit(output, there(output))


@pytest.mark.parametrize("form", [form for form in sinks.FORMS if form != "csv"])
def test_vectors_of_another_number_of_rows_are_refused(tmp_path: Path, form: str) -> None:
    Run(output := tmp_path / f"f.{form}", rows([0])).publish()
    published = there(output)
    Run(output, rows([0, 1])).publish()
    with pytest.raises(VggfeatError, match="is not what vggfeat wrote"):
        unfit(output, published)


def test_vectors_that_cannot_be_read_are_a_sentence(output: Path) -> None:
    published = there(output)
    output.unlink()
    output.mkdir()
    with pytest.raises(VggfeatError, match=f"^{output}: cannot be read: Is a directory"):
        unfit(output, published)


@pytest.mark.parametrize("form", sinks.CONTAINERS)
def test_a_container_that_is_not_ours_is_refused_though_it_is_whole(
    tmp_path: Path, form: str
) -> None:
    """And smaller, as if it were ours and cut short."""
    Run(output := tmp_path / f"f.{form}", rows(range(99))).publish()
    MADE_BY_OTHERS[form](output)
    with pytest.raises(VggfeatError, match="is not what vggfeat wrote"):
        unfit(output, there(output))


def of_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["fc7"] = np.zeros((99, 5), np.float32)


MADE_BY_OTHERS: dict[str, Callable[[Path], object]] = {
    "parquet": lambda path: pq.write_table(pa.table({"fc7": [1.5]}), path),
    "npz": lambda path: np.savez(path, fc7=np.zeros((9, 5), np.float32), path=["a"] * 9),
    "h5": of_hdf5,
}


@pytest.mark.parametrize("form", sinks.CONTAINERS)
def test_a_container_that_tells_other_images_is_unfit(tmp_path: Path, form: str) -> None:
    Run(output := tmp_path / f"f.{form}", IMAGES).publish()
    published = there(output)
    Run(output, [row(0), row(1, "another.jpg")]).publish()
    assert unfit(output, published) == f"rows of {output} are not those that are listed"
