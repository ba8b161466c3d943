"""A second run does what has changed since the first, says what it was, and nothing else."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from tests import networks
from tests.cli.command import lines, vggfeat
from vggfeat import Report, extract, load_features

IMAGES = ["imgs/1.ppm", "imgs/3.ppm", "imgs/10.ppm"]
FUTURE = 4 * 10**18  # ns: a stamp that proves nothing, as one of this moment


def picture(seed: int) -> bytes:
    return b"P6 8 8 255\n" + random.Random(seed).randbytes(192)


def put(path: str, seed: int) -> None:
    """A picture and a stamp long ago; both differ between seeds, the size does not."""
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(picture(seed))
    os.utime(path, ns=(10**18, 10**18 + seed))


def put_junk(path: str) -> None:
    Path(path).write_bytes(b"junk")
    os.utime(path, (1, 1))


def replace_unnoticed(path: str, seed: int) -> None:
    """Another picture in a file whose size and mtime stay."""
    stat = os.stat(path)
    Path(path).write_bytes(picture(seed))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture(autouse=True)
def images(tmp_path: Path, narrow_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))
    for number in (1, 3, 10):
        put(f"imgs/{number}.ppm", number)


def run(*inputs: str, output: str = "f.npy", **options: Any) -> Report:
    return extract(inputs or ["imgs"], output, **options)


def files() -> dict[str, tuple[int, int, bytes]]:
    """Inode, mtime and content of all that is not an image."""
    found = (path for path in Path().iterdir() if path.is_file())
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in found}


def check_like_from_scratch(*inputs: str, output: str = "f.npy", **options: Any) -> None:
    shutil.rmtree("scratch", ignore_errors=True)
    os.mkdir("scratch")
    run(*inputs, output=f"scratch/{output}", **options)
    scratch = {p.name: p.read_bytes() for p in Path("scratch").iterdir() if p.name != "f.json"}
    assert {n: content for n, (_, _, content) in files().items() if n != "f.json"} == scratch


@pytest.mark.parametrize("output", ["f.npy", "f.csv"])
def test_a_second_run_computes_nothing_and_leaves_the_files_alone(output: str) -> None:
    vggfeat("extract", "imgs", "-o", output)
    before = files()
    (line,) = lines(vggfeat("extract", "imgs", "-o", output).stderr)
    assert line.endswith(f"{output}: fc7 of 3 images, float32 [3,256], nothing to compute, 3 kept")
    assert files() == before | {"f.json": files()["f.json"]}  # which tells of the run


@pytest.mark.parametrize(("stamp", "computed"), [(10**18, 0), (FUTURE, 1)])
def test_an_image_with_the_same_stamp_is_read_again_only_if_it_was_fresh(
    stamp: int, computed: int
) -> None:
    os.utime(IMAGES[0], ns=(stamp, stamp))
    run()
    assert run().computed == 0
    replace_unnoticed(IMAGES[0], 100)
    assert run().computed == computed
    assert run(fresh=True).computed == 3
    check_like_from_scratch()


def exchange() -> None:
    for name, to in ((IMAGES[0], "x"), (IMAGES[1], IMAGES[0]), ("x", IMAGES[1])):
        os.rename(name, to)


CHANGES: dict[str, tuple[Callable[[], object], int, int, list[str]]] = {
    "new": (lambda: put("imgs/2.ppm", 2), 1, 3, ["1", "2", "3", "10"]),
    "new at the end": (lambda: put("imgs/11.ppm", 11), 1, 3, ["1", "3", "10", "11"]),
    "changed": (lambda: put(IMAGES[1], 33), 1, 2, ["1", "3", "10"]),
    "vanished": (lambda: os.unlink(IMAGES[1]), 0, 2, ["1", "10"]),
    "renamed": (lambda: os.rename(IMAGES[0], 'imgs/a, "b".ppm'), 0, 3, ["3", "10", 'a, "b"']),
    "moved": (lambda: os.renames(IMAGES[2], "imgs/0/1.ppm"), 0, 3, ["0/1", "1", "3"]),
    "copied": (lambda: shutil.copy(IMAGES[0], "imgs/4.ppm"), 0, 4, ["1", "3", "4", "10"]),
    "touched": (lambda: os.utime(IMAGES[1], (1, 1)), 0, 3, ["1", "3", "10"]),
    "exchanged": (exchange, 0, 3, ["1", "3", "10"]),
    "broken": (lambda: put_junk(IMAGES[1]), 0, 2, ["1", "10"]),
}


@pytest.mark.parametrize(("change", "computed", "kept", "names"), CHANGES.values(), ids=CHANGES)
def test_rows_of_what_has_not_changed_are_kept_and_all_are_in_order(
    change: Callable[[], object], computed: int, kept: int, names: list[str]
) -> None:
    run()
    change()
    report = run()
    assert (report.computed, report.kept) == (computed, kept)
    assert load_features("f.npy").paths == [f"imgs/{name}.ppm" for name in names]
    check_like_from_scratch()


def test_rows_of_a_csv_are_kept_too_and_their_names_are_the_new_ones() -> None:
    run(output="f.csv")
    os.rename(IMAGES[1], "imgs/4.ppm")
    assert run(output="f.csv").computed == 0
    check_like_from_scratch(output="f.csv")
    for change in ("new", "renamed", "changed"):
        CHANGES[change][0]()
    assert run(output="f.csv").computed == 2
    check_like_from_scratch(output="f.csv")


def test_only_rows_that_are_lost_are_told_as_dropped() -> None:
    run()
    for change, dropped in (("vanished", 1), ("renamed", 0)):
        CHANGES[change][0]()
        assert run().dropped == dropped


def test_an_image_by_another_spelling_of_its_path_is_recognised() -> None:
    run()
    assert run("./imgs").computed == 0
    check_like_from_scratch("./imgs")


def test_an_image_given_twice_has_two_rows_each_time() -> None:
    for computed in (4, 0):
        assert run("imgs", IMAGES[0]).computed == computed
        vectors, paths = load_features("f.npy")
        assert paths == [*IMAGES, IMAGES[0]]
        np.testing.assert_array_equal(vectors[0], vectors[3])
    assert run().computed == 0
    check_like_from_scratch()


def test_a_list_on_stdin_is_known_from_the_run_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_list(*paths: str) -> Report:
        data = io.BytesIO("\n".join(paths).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
        return run("-")

    assert run_list(*IMAGES).computed == 3
    before = files()["f.npy"]
    assert run_list(*IMAGES).computed == 0
    assert files()["f.npy"] == before
    assert run_list(*reversed(IMAGES)).computed == 0
    assert load_features("f.npy").paths == IMAGES[::-1]


def test_a_dry_run_says_what_and_why_and_does_nothing() -> None:
    vggfeat("extract", "imgs", "-o", "f.npy", "--dry-run")
    assert os.listdir() == ["imgs"]
    put("imgs/4.ppm", 4)
    put("imgs/5.ppm", 5)
    os.utime("imgs/5.ppm", ns=(FUTURE, FUTURE))
    put_junk("imgs/bad.ppm")
    Path("imgs/gone.ppm").symlink_to("nowhere")
    vggfeat("extract", "imgs", "-o", "f.npy", code=3)
    os.utime(IMAGES[0], (1, 1))
    put("imgs/2.ppm", 2)
    put("imgs/3.ppm", 33)
    os.unlink("imgs/4.ppm")
    replace_unnoticed("imgs/5.ppm", 55)
    os.rename("imgs/10.ppm", "imgs/11.ppm")
    before = files()
    done = vggfeat("extract", "imgs", "-o", "f.npy", "-n")
    assert files() == before
    assert [tuple(line.rsplit(maxsplit=1)) for line in lines(done.stdout)] == [
        ("touched", "imgs/1.ppm"),
        ("new", "imgs/2.ppm"),
        ("changed", "imgs/3.ppm"),
        ("changed", "imgs/5.ppm"),
        ("moved", "imgs/11.ppm"),
        ("failed before", "imgs/gone.ppm"),
        ("gone", "imgs/4.ppm"),
        ("gone", "imgs/10.ppm"),
    ]
    (line,) = lines(done.stderr)
    assert line.startswith("vggfeat: 4 to compute, 2 kept")
    assert [run(dry_run=True).computed, run().computed] == [4, 3]


def test_a_dry_run_leaves_the_work_of_a_run_that_was_cut_off() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(watcher=Mock(advance=Mock(side_effect=KeyboardInterrupt)), batch_size=1)
    before = files()
    assert sorted(before) == ["f.npy.journal", "f.npy.part"]
    assert run(dry_run=True).resumed == 1
    assert files() == before
    assert run().resumed == 1


def made_by_another_engine() -> dict[str, Any]:
    """As TensorFlow's, whose start takes long."""
    told = json.loads(Path("f.json").read_bytes())
    Path("f.json").write_text(json.dumps(told | {"engine": "other"}))
    return {}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (lambda: {"layer": "fc6"}, "layer fc6, not fc7"),
        (lambda: {"resize": 224}, "resize 224, not 256"),
        (lambda: {"fast_decode": True}, "decode fast, not exact"),
        (lambda: {"weights": networks.weights(seed=5)}, "weights made for a test ("),
        (made_by_another_engine, ", not other"),
    ],
)
def test_with_other_settings_all_is_computed_anew_and_one_line_says_why(
    options: Callable[[], dict[str, Any]], why: str
) -> None:
    run()
    asked, notes = options(), Mock()
    assert run(dry_run=True, **asked).computed == 3
    assert run(watcher=Mock(note=notes), **asked).computed == 3
    ((line,),) = (call.args for call in notes.call_args_list)
    assert line.startswith("all is computed anew: ")
    assert why in line
    assert run(**asked).computed == 0
    check_like_from_scratch(**asked)
