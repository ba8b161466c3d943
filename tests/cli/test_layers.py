"""`vggfeat extract --layer`: any layer, several at once, and what is done to the vectors."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.cli.inside import run
from vggfeat import Extractor, VggfeatError, load_features
from vggfeat.features import open_features
from vggfeat.weights import Weights

TWO = ("--layer", "pool5:avg", "--layer", "fc7")
OF_TWO = {"f.fc7.npy", "f.pool5.avg.npy", "f.index.csv", "f.json"}


@pytest.fixture(scope="module")
def weights() -> Weights:
    return networks.weights()


@pytest.fixture(autouse=True)
def settled(
    tmp_path: Path, samples: list[Path], narrow_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imgs").mkdir()
    for path in [path for path in samples if path.suffix == ".jpg"][:3]:
        shutil.copy(path, tmp_path / "imgs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))


def there() -> set[str]:
    return {path.name for path in Path().iterdir() if path.is_file()}


def pictures() -> list[Path]:
    return sorted(Path("imgs").iterdir())


def test_several_layers_have_files_of_their_own_over_one_index(weights: Weights) -> None:
    done = run("extract", "imgs", "-o", "f.npy", *TWO)
    first, second = done.stderr.splitlines()
    assert first == "vggfeat: f.pool5.avg.npy: pool5:avg of 3 images, float32 [3,32]"
    assert second.startswith("vggfeat: f.fc7.npy: fc7 of 3 images, float32 [3,256], in ")
    assert there() == OF_TWO
    expected = Extractor(weights, ["fc7", "pool5:avg"])(pictures())
    for layer, name in (("fc7", "f.fc7.npy"), ("pool5:avg", "f.pool5.avg.npy")):
        vectors, paths = load_features(name)
        np.testing.assert_array_equal(vectors, expected[layer])
        assert paths == [str(path) for path in pictures()]
        assert open_features(name).recipe.layer == layer
    with open("f.index.csv", newline="") as file:
        assert [len(line["crc32"].split()) for line in csv.DictReader(file)] == [2, 2, 2]


def test_the_order_in_which_layers_are_asked_for_does_not_matter() -> None:
    run("extract", "imgs", "-o", "f.npy", *TWO)
    again = run("extract", "imgs", "-o", "f.npy", "--layer", "fc7", "--layer", "pool5:avg")
    assert "nothing to compute, 3 kept" in again.stderr


def test_several_layers_are_kept_and_added_to_as_one_is(samples: list[Path]) -> None:
    run("extract", "imgs", "-o", "f.npy", *TWO)
    inodes = {name: os.stat(name).st_ino for name in ("f.fc7.npy", "f.pool5.avg.npy")}
    shutil.copy(next(path for path in samples if path.name == "flower.jpg"), "imgs/zzz.jpg")
    Path("imgs/bad.jpg").write_text("no image")
    done = run("extract", "imgs", "-o", "f.npy", *TWO, code=3)
    assert "1 computed" in done.stderr
    assert {name: os.stat(name).st_ino for name in inodes} == inodes
    assert there() == OF_TWO | {"f.failed.csv"}
    Path("scratch").mkdir()
    run("extract", "imgs", "-o", "scratch/f.npy", *TWO, code=3)
    for name in (*inodes, "f.index.csv", "f.failed.csv"):
        assert Path(name).read_bytes() == Path("scratch", name).read_bytes()


def test_other_layers_take_the_place_of_those_before() -> None:
    run("extract", "imgs", "-o", "f.npy")
    done = run("extract", "imgs", "-o", "f.npy", *TWO)
    assert "all is computed anew: layer pool5:avg and fc7, not fc7" in done.stderr
    assert there() == OF_TWO
    run("extract", "imgs", "-o", "f.npy", "--layer", "fc6")
    assert there() == {"f.npy", "f.index.csv", "f.json"}


def test_a_file_of_anothers_in_a_layers_place_stays() -> None:
    Path("f.fc7.npy").write_text("mine")
    with pytest.raises(VggfeatError, match="^.*/f.fc7.npy: was not written by vggfeat, so it is n"):
        run("extract", "imgs", "-o", "f.npy", *TWO)
    run("extract", "imgs", "-o", "f.npy")
    with pytest.raises(VggfeatError, match="^.*/f.fc7.npy: was not written by vggfeat, so it is n"):
        run("extract", "imgs", "-o", "f.npy", *TWO)
    assert Path("f.fc7.npy").read_text() == "mine"
    assert load_features("f.npy").vectors.shape == (3, 256)


def test_each_file_is_verified() -> None:
    run("extract", "imgs", "-o", "f.npy", *TWO)
    for name in ("f.npy", "f.fc7.npy", "f.pool5.avg.npy"):
        told = run("verify", name, "--recompute", "3", "--against", "imgs").stdout.decode()
        assert "recomputed   3 rows, 3 of them equal to the bit" in told
    with open("f.pool5.avg.npy", "r+b") as file:
        file.seek(4096 + 32 * 4)
        file.write(b"\0\0\0\1")
    told = run("verify", "f.fc7.npy", code=4).stdout.decode()
    assert f"damaged      pool5:avg: row 1 ({pictures()[1]}) has not the checksum" in told


def test_who_opens_the_name_of_several_is_told_theirs() -> None:
    run("extract", "imgs", "-o", "f.npy", *TWO)
    with pytest.raises(
        VggfeatError, match="several layers, each with a file: open f.pool5.avg.npy o"
    ):
        load_features("f.npy")


def test_several_layers_do_not_go_to_stdout() -> None:
    with pytest.raises(VggfeatError, match="^several layers are several files: give -o a name"):
        run("extract", "imgs", "-o", "-", *TWO)


@pytest.mark.parametrize("form", ["npy", "csv"])
def test_rows_are_normalized_and_halved_as_asked(form: str, weights: Weights) -> None:
    options = ("--normalize", "l2", "--dtype", "float16")
    run("extract", "imgs", "-o", f"f.{form}", "--layer", "fc6:linear", *options)
    plain = Extractor(weights, "fc6:linear")(pictures()).astype(float)
    expected = plain / np.linalg.norm(plain, axis=1, keepdims=True)
    if form == "npy":
        found = np.load("f.npy")
        assert found.dtype == np.float16
        assert load_features("f.npy").vectors.dtype == np.float16
    else:
        found = np.loadtxt("f.csv", delimiter=",", skiprows=1, usecols=range(1, 257))
        assert (found.astype(np.float32) == found.astype(np.float16)).all()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    told = run("verify", f"f.{form}", "--recompute", "3").stdout.decode()
    assert "recomputed   3 rows, 3 of them" in told
    about = json.loads(Path("f.json").read_bytes())
    assert (about["normalize"], about["dtype"]) == ("l2", "float16")
    assert "3 kept" in run("extract", "imgs", "-o", f"f.{form}", "--layer", "fc6:linear",
                           *options).stderr  # fmt: skip


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (["--layer", "pool5", "--size", "100"], (3, 3, 3, 32)),
        (["--layer", "conv4_2:flat", "--size", "48"], (3, 6 * 6 * 32)),
        (["--layer", "fc7", "--size", "256"], (3, 256)),
        (["--layer", "prob"], (3, 10)),
    ],
)
def test_other_sizes_and_layers_have_their_shapes(
    options: list[str], shape: tuple[int, ...]
) -> None:
    run("extract", "imgs", "-o", "f.npy", *options)
    assert np.load("f.npy").shape == shape
    assert "nothing to compute" in run("extract", "imgs", "-o", "f.npy", *options).stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--layer", "fc9"], "^no layer 'fc9'; there are conv1_1, conv1_2, pool1, "),
        (["--layer", "fc7:avg"], "^no layer 'fc7:avg': fc7 is no map"),
        (["--layer", "pool5:linear"], "^no layer 'pool5:linear': pool5 has no ReLU"),
        (["--layer", "fc6", "--size", "200"], "^fc6 takes images of 224 pixels at the least"),
        (["--size", "300", "--resize", "256"], "^resize to 256: the crop takes 300"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(options: list[str], sentence: str) -> None:
    with pytest.raises(VggfeatError, match=sentence) as caught:
        run("extract", "imgs", "-o", "f.npy", *options)
    assert caught.value.exit_code == 2
    assert there() == set()


def test_behind_a_link_the_files_are_named_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    Path("f.npy").symlink_to(tmp_path / "real" / "g.npy")
    Path("imgs/broken.jpg").write_text("no image")
    *files, failed = run("extract", "imgs", "-o", "f.npy", *TWO, code=3).stderr.splitlines()[1:]
    for line, name in zip(files, ("g.pool5.avg.npy", "g.fc7.npy"), strict=True):
        assert line.startswith(f"vggfeat: {tmp_path}/real/{name}: ")
        assert (tmp_path / "real" / name).is_file()
    assert failed.endswith(f": see {tmp_path}/real/g.failed.csv")
    assert (tmp_path / "real" / "g.failed.csv").is_file()
