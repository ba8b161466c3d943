"""`load_features`: only what belongs together."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.sinks.outputs import Run, rows
from vggfeat import VggfeatError, extract, load_features
from vggfeat.sinks import published


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, samples: list[Path]) -> Path:
    """Two outputs: of three images, and of three others."""
    folder = tmp_path_factory.mktemp("made")
    for name, some in (("one", samples[:3]), ("other", samples[3:6])):
        (folder / name).mkdir()
        extract(some, folder / name / "f.npy", weights=networks.weights())
    return folder


@pytest.fixture
def output(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(published, "_PATIENCE", 0.1)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "one" / "f.npy"


@pytest.fixture
def other(output: Path) -> Path:
    return output.parent.parent / "other"


def test_vectors_are_mapped_and_paths_are_theirs(output: Path, samples: list[Path]) -> None:
    vectors, paths = load_features(output)
    assert isinstance(vectors, np.memmap)
    np.testing.assert_array_equal(vectors, np.load(output))
    assert paths == [str(path) for path in samples[:3]]


@pytest.mark.parametrize("name", ["f.npy", "f.index.csv", "f.json"])
def test_a_file_of_another_run_is_noticed(output: Path, other: Path, name: str) -> None:
    """Of as many rows, so that counting does not help."""
    shutil.copy(other / name, output.parent)
    with pytest.raises(VggfeatError, match="extract again"):
        load_features(output)


def test_another_number_of_rows_is_noticed(output: Path) -> None:
    np.save(output, np.load(output)[:2])
    with pytest.raises(VggfeatError, match="has 2 rows, but 3 are listed beside it"):
        load_features(output)


def test_a_changed_index_is_noticed(output: Path) -> None:
    index = output.with_name("f.index.csv")
    index.write_text(index.read_text().replace("0,", "7,", 1))
    with pytest.raises(VggfeatError, match=r"f\.index\.csv and f\.json do not belong together"):
        load_features(output)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("f.npy", r"f\.npy: cannot be read: No such file"),
        ("f.index.csv", r"f\.index\.csv is missing"),
        ("f.json", r"there is no f\.json beside it"),
    ],
)
def test_a_missing_file_is_named(output: Path, name: str, said: str) -> None:
    output.with_name(name).unlink()
    with pytest.raises(VggfeatError, match=said):
        load_features(output)


def test_what_is_no_npy_file_is_refused(output: Path) -> None:
    for content in (b"", b"hello", output.read_bytes()[:100], output.read_bytes()[:-1]):
        output.write_bytes(content)
        with pytest.raises(VggfeatError, match=r"no \.npy file of vggfeat's"):
            load_features(output)


def test_another_file_is_refused_and_never_unpickled(output: Path) -> None:
    np.save(output, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(VggfeatError, match=r"no \.npy file of vggfeat's \(it holds object"):
        load_features(output)


def test_while_a_run_publishes_it_waits(
    output: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files change one by one; what is read is the one set or the other."""
    monkeypatch.setattr(published, "_PATIENCE", 10)

    def replace() -> None:
        for name in ("f.json", "f.npy", "f.index.csv"):
            shutil.copy(other / name, output.with_name(f"{name}.new"))
            output.with_name(f"{name}.new").replace(output.with_name(name))
            time.sleep(0.2)

    about = json.loads((other / "f.json").read_text())
    thread = threading.Thread(target=replace)
    thread.start()
    seen = set()
    while thread.is_alive():
        listed, vectors = published.open_generation(output, lambda listed: np.load(output))
        seen.add(listed.about["generation"])
        expected = other if listed.about["generation"] == about["generation"] else None
        if expected is not None:
            np.testing.assert_array_equal(vectors, np.load(expected / "f.npy"))
    thread.join()
    assert about["generation"] in seen


def test_features_in_csv_are_told_to_be_csv(tmp_path: Path) -> None:
    Run(tmp_path / "f.csv", rows([0, 1])).publish()
    with pytest.raises(VggfeatError, match="f.csv: is csv, and only .npy can be opened"):
        load_features(tmp_path / "f.csv")
