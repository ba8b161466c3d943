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
from tests.sinks.outputs import Run, failure, row, rows
from vggfeat import VggfeatError, extract, load_features, sinks
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
    with pytest.raises(VggfeatError, match="f.csv: is csv, which is text: extract to .npy or"):
        load_features(tmp_path / "f.csv")


BINARY = pytest.mark.parametrize("form", [form for form in sinks.FORMS if form != "csv"])


@BINARY
@pytest.mark.parametrize("numbers", [[0, 1, 2], []])
def test_other_forms_are_opened_as_well(tmp_path: Path, form: str, numbers: list[int]) -> None:
    images = [*rows(numbers), failure("bad.jpg")]
    Run(tmp_path / f"f.{form}", images).publish()
    vectors, paths = load_features(tmp_path / f"f.{form}")
    assert isinstance(vectors, np.memmap) == (form != "parquet" and bool(numbers))
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(numbers), 5))
    assert [vector.tobytes() for vector in vectors] == [
        image.features[0].tobytes() for image in rows(numbers)
    ]
    assert paths == [f"{number}.jpg" for number in numbers]


@BINARY
def test_maps_and_half_precision_come_back_as_they_were(tmp_path: Path, form: str) -> None:
    maps = np.arange(60, dtype=np.float16).reshape(3, 4, 5)
    image = row(0)._replace(features=(maps,))
    layers = [{"layer": "pool5", "shape": [3, 4, 5]}]
    Run(tmp_path / f"f.{form}", [image], layers=layers, dtype="float16").publish()
    vectors, _ = load_features(tmp_path / f"f.{form}")
    assert (vectors.dtype, vectors.shape) == (np.float16, (1, 3, 4, 5))
    np.testing.assert_array_equal(vectors[0], maps)


@BINARY
@pytest.mark.parametrize("damage", [b"", b"hello", 50, -1])
def test_what_is_cut_or_another_file_is_refused(
    tmp_path: Path, form: str, damage: bytes | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_PATIENCE", 0.1)
    Run(output := tmp_path / f"f.{form}", rows([0, 1])).publish()
    whole = output.read_bytes()
    output.write_bytes(whole[:damage] if isinstance(damage, int) else damage)
    with pytest.raises(VggfeatError, match=rf"f\.{form}: no \.{form} file of vggfeat's"):
        load_features(output)


@BINARY
def test_a_file_of_another_run_in_any_form_is_noticed(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_PATIENCE", 0.1)
    Run(output := tmp_path / f"f.{form}", rows([0, 1])).publish()
    (tmp_path / "other").mkdir()
    Run(other := tmp_path / "other" / f"f.{form}", rows([0, 2])).publish()
    shutil.copy(other, output)
    with pytest.raises(VggfeatError, match="row 1 is not the one that is listed"):
        load_features(output)


@pytest.mark.parametrize("name", ["feats/", "feats"])
def test_a_folder_is_told_to_be_merged(tmp_path: Path, name: str) -> None:
    (tmp_path / "feats").mkdir()
    with pytest.raises(
        VggfeatError, match=r"feats/?: is a folder: .*vggfeat merge .* -o feats\.npy"
    ):
        load_features(f"{tmp_path}/{name}")


def test_an_address_is_told_to_be_one() -> None:
    with pytest.raises(VggfeatError, match=r"^s3://b/f\.npy: is an address: .*copy"):
        load_features("s3://user:word@b/f.npy")
