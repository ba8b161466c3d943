"""`load_features`: only what belongs together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vggfeat import VggfeatError, load_features


@pytest.fixture
def output(tmp_path: Path) -> Path:
    np.save(tmp_path / "f.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    (tmp_path / "f.index.csv").write_text('row,path,size,mtime_ns\n0,"a,b.jpg",1,2\n1,c.jpg,3,4\n')
    return tmp_path / "f.npy"


def test_vectors_are_mapped_and_paths_are_theirs(output: Path) -> None:
    vectors, paths = load_features(output)
    assert isinstance(vectors, np.memmap)
    assert vectors.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert paths == ["a,b.jpg", "c.jpg"]


def test_another_number_of_rows_is_noticed(output: Path) -> None:
    np.save(output, np.zeros((3, 3), np.float32))
    with pytest.raises(VggfeatError, match="has 3 rows, but f.index.csv lists 2"):
        load_features(output)


def test_a_damaged_index_is_noticed(output: Path) -> None:
    index = output.with_name("f.index.csv")
    index.write_text(index.read_text().replace("1,c.jpg", "7,c.jpg"))
    with pytest.raises(VggfeatError, match=r"f\.index\.csv: damaged at row 1"):
        load_features(output)


@pytest.mark.parametrize("missing", ["f.npy", "f.index.csv"])
def test_a_missing_file_is_named(output: Path, missing: str) -> None:
    output.with_name(missing).unlink()
    with pytest.raises(VggfeatError, match=f"{missing}: cannot be read: No such file"):
        load_features(output)


def test_another_file_is_refused_and_never_unpickled(output: Path) -> None:
    np.save(output, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(VggfeatError, match=r"no \.npy file"):
        load_features(output)
