"""`vggfeat similar`."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import networks
from tests.cli.command import COMMAND
from tests.cli.inside import run
from tests.search import brute
from vggfeat import Extractor, VggfeatError, extract, load_features
from vggfeat.search import similar
from vggfeat.search.gallery import Gallery
from vggfeat.sources.files import LocalFile
from vggfeat.weights import store
from vggfeat.weights.formats import canonical


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of six pictures, one with bytes in its name that are no UTF-8, in its folder."""
    folder = tmp_path_factory.mktemp("similar")
    (folder / "imgs").mkdir()
    for number, pixels in enumerate(networks.pictures(6)):
        name = os.fsdecode(b"4\xff, odd.png") if number == 4 else f"{number}.png"
        Image.fromarray(pixels).save(folder / "imgs" / name)
    before = Path.cwd()
    os.chdir(folder)
    extract("imgs", "feats.npy", weights=networks.weights(), layer="pool5")
    os.chdir(before)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))


@pytest.mark.usefixtures("folder")
def test_a_picture_with_a_row_needs_neither_weights_nor_its_file() -> None:
    os.remove("imgs/2.png")
    done = run("similar", "feats.npy", "imgs/2.png", "./imgs/../imgs/3.png", "-k", "3")
    vectors, paths = load_features("feats.npy")
    expected = []
    for name, row in (("imgs/2.png", 2), ("./imgs/../imgs/3.png", 3)):
        cosines = brute.cosines(vectors, vectors[row : row + 1])[0]
        cosines[row] = -2
        best = np.argsort(-cosines)[:3]
        expected += [(name, str(n), cosines[b], paths[b]) for n, b in enumerate(best, start=1)]
    found = [tuple(row.values()) for row in rows(done.stdout)]
    assert [(q, n, p) for q, n, _, p in found] == [(q, n, p) for q, n, _, p in expected]
    np.testing.assert_allclose(
        [float(c) for _, _, c, _ in found], [c for _, _, c, _ in expected], atol=1e-8
    )
    assert done.stderr == ""


@pytest.mark.usefixtures("folder")
def test_bytes_of_names_go_through() -> None:
    done = run("similar", "feats.npy", "imgs/0.png")
    assert b'"imgs/4\xff, odd.png"\n' in done.stdout
    listed = b"imgs/4\xff, odd.png\0imgs/0.png\0"
    done = run("similar", "feats.npy", "-", "-0", "-k", "1", "--format", "paths", stdin=listed)
    assert done.stdout.count(b"\0") == 2
    assert b"\n" not in done.stdout


@pytest.mark.usefixtures("folder")
def test_a_copy_is_known_by_its_content_and_finds_the_original() -> None:
    shutil.copy("imgs/5.png", "copy.png")
    [found] = rows(run("similar", "feats.npy", "copy.png", "-k", "1").stdout)
    assert (found["similarity"], found["path"]) == ("1", "imgs/5.png")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("path", ["new.png", "imgs/1.png"])
def test_a_new_or_changed_picture_is_computed_as_the_rows_were(
    path: str, narrow_file: Path
) -> None:
    Image.fromarray(networks.pictures(1, seed=9)[0]).save(path)
    with pytest.raises(VggfeatError, match="are not in the store: give them by --weights"):
        run("similar", "feats.npy", path)
    done = run("similar", "feats.npy", path, "-w", narrow_file)
    vectors, paths = load_features("feats.npy")
    vector = Extractor(networks.weights(), layer="pool5")(path)
    others = {
        p: c for p, c in zip(paths, brute.cosines(vectors, vector)[0], strict=True) if p != path
    }
    found = {row["path"]: float(row["similarity"]) for row in rows(done.stdout)}
    assert list(found) == sorted(others, key=others.__getitem__, reverse=True)
    assert found == pytest.approx(others, abs=1e-6)
    store.save(networks.weights(), "of_the_rows")
    assert run("similar", "feats.npy", path).stdout == done.stdout


@pytest.mark.usefixtures("folder")
def test_other_weights_are_refused_with_one_line(tmp_path: Path) -> None:
    canonical.write(networks.weights(seed=1), tmp_path / "other.safetensors")
    Image.new("RGB", (300, 300)).save("new.png")
    with pytest.raises(VggfeatError, match=r"^feats\.npy: made by the weights .*, not by .*$"):
        run("similar", "feats.npy", "new.png", "-w", "other.safetensors")


@pytest.mark.usefixtures("folder")
def test_a_bad_picture_costs_itself_alone(narrow_file: Path) -> None:
    Path("bad.png").write_bytes(b"no picture")
    asked = ("bad.png", "imgs/0.png", "gone.png", "imgs/1.png")
    done = run("similar", "feats.npy", *asked, "-k", "1", "-w", narrow_file, code=3)
    assert [row["query"] for row in rows(done.stdout)] == ["imgs/0.png", "imgs/1.png"]
    said = done.stderr.splitlines()
    assert said[0].startswith("vggfeat: bad.png: not an image")
    assert said[1:] == [
        "vggfeat: gone.png: No such file or directory",
        "vggfeat: pictures that failed: 2",
    ]


@pytest.mark.usefixtures("folder")
def test_a_file_of_results_is_of_its_name_and_whole_or_absent() -> None:
    run("similar", "feats.npy", "imgs/0.png", "-k", "2", "-o", "r.json", "--html", "r.html")
    told = json.loads(Path("r.json").read_bytes())
    assert [(row["query"], row["rank"]) for row in told] == [("imgs/0.png", 1), ("imgs/0.png", 2)]
    assert Path("r.html").read_text().count("<img ") == 3
    Path("new.png").write_bytes(Path("imgs/0.png").read_bytes() + b"\0")
    before = sorted(os.listdir())
    with pytest.raises(VggfeatError, match="--weights"):
        run("similar", "feats.npy", "imgs/0.png", "new.png", "-o", "s.csv", "--html", "s.html")
    assert sorted(os.listdir()) == before


@pytest.mark.usefixtures("folder")
def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "26")
    done = run("similar", "feats.npy", "imgs/0.png", "-k", "3", "--format", "table")
    title, *lines = done.stdout.decode().splitlines()
    assert title == "imgs/0.png"
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert all(len(line) <= 26 for line in lines)


@pytest.mark.usefixtures("folder")
def test_queries_wait_for_others_as_far_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = Gallery("feats.npy")
    taken: list[str] = []

    def asked() -> Iterator[LocalFile]:
        for path in gallery.paths:
            taken.append(path)
            yield LocalFile(path)

    expected = list(similar.similar(gallery, asked(), 2))
    assert len(expected) == 6
    monkeypatch.setattr(similar, "_BYTES_AT_ONCE", 3 * 4 * gallery.vectors[0].size)
    taken.clear()
    answers = similar.similar(gallery, asked(), 2)
    first = next(answers)
    assert len(taken) == 3
    assert [first, *answers] == expected


@pytest.mark.usefixtures("folder")
def test_a_reader_that_leaves_is_no_error() -> None:
    asked = ["imgs/0.png"] * 5000
    with subprocess.Popen(
        [*COMMAND, "similar", "feats.npy", *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"query,rank,similarity,path\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == -13


def test_pictures_in_archives_and_at_addresses_are_found_by_their_names(
    folder: Path, narrow_file: Path
) -> None:
    with zipfile.ZipFile("imgs.zip", "w") as archive:
        for number in range(3):
            archive.write(f"imgs/{number}.png", f"{number}.png")
    address = f"file://{folder}/imgs/3.png"
    extract(["imgs.zip", address], "there.npy", weights=networks.weights(), layer="pool5")
    done = run("similar", "there.npy", "imgs.zip/1.png", address, "imgs/2.png", "-k", "1")
    _, paths = load_features("there.npy")
    assert [row["query"] for row in rows(done.stdout)] == ["imgs.zip/1.png", address, "imgs/2.png"]
    assert rows(done.stdout)[2]["path"] == "imgs.zip/2.png" == paths[2]  # a copy of it
    new = run(
        "similar", "feats.npy", "imgs.zip/1.png", "imgs.zip", "imgs.zip/9.png", "-k", "1", code=3
    )
    assert [row["path"] for row in rows(new.stdout)] == ["imgs/1.png"]
    assert "imgs.zip: is an archive: name pictures in it" in new.stderr
    assert "imgs.zip/9.png: " in new.stderr
