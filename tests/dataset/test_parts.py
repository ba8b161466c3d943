"""Parts as any reader has them, and what a run tells of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.dataset.made import WEIGHTS, content, files, pictures, run, told
from tests.test_run import Recorder
from vggfeat import Extractor, VggfeatError, extract, load_features
from vggfeat.errors import UsageError

BAD = "imgs/5.ppm"


@pytest.fixture
def images() -> list[str]:
    paths = pictures("imgs", 7)
    Path(BAD).write_bytes(b"")
    os.utime(BAD, (10**9, 10**9))
    return paths


@pytest.fixture
def vectors(images: list[str]) -> np.ndarray:
    """What one run into a file gives."""
    run("imgs", "one.npy")
    return np.load("one.npy")


def test_every_reader_has_the_rows_in_their_order(vectors: np.ndarray, images: list[str]) -> None:
    duckdb, pandas, polars = map(pytest.importorskip, ("duckdb", "pandas", "polars"))
    dataset = pytest.importorskip("pyarrow.dataset")
    report = run("imgs")
    assert (report.rows, report.failed, report.computed, report.parts) == (6, 1, 6, 3)
    paths = [path for path in images if path != BAD]
    table = dataset.dataset("feats/", format="parquet").to_table()
    assert table["path"].to_pylist() == paths
    for column in (
        table["fc7"].to_pylist(),
        pandas.read_parquet("feats/")["fc7"].tolist(),
        polars.read_parquet("feats/*.parquet")["fc7"].to_list(),
        [row[0] for row in duckdb.sql("SELECT fc7 FROM 'feats/*.parquet'").fetchall()],
    ):
        np.testing.assert_array_equal(np.array([*map(list, column)], np.float32), vectors)
    failed = polars.read_parquet("feats/_failed/*.parquet")
    assert failed.select("path", "reason").rows() == [(BAD, "the file is empty")]


def test_the_types_are_plain(images: list[str]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    run("imgs", layer=["fc7", "pool5", "pool5:avg"], dtype="float16")
    schema = pq.read_schema("feats/part-00000.parquet")
    assert [f"{field.name}: {field.type}" for field in schema] == [
        "path: string",
        "pool5: fixed_size_list<element: halffloat not null>[196]",
        "pool5.avg: fixed_size_list<element: halffloat not null>[4]",
        "fc7: fixed_size_list<element: halffloat not null>[5]",
        "size: int64",
        "mtime_ns: int64",
        "sha256: string",
    ]
    assert schema.field("pool5").metadata[b"shape"] == b"7,7,4"
    maps = pq.read_table("feats/part-00000.parquet")["pool5"].to_pylist()
    expected = Extractor(WEIGHTS[0], "pool5", engine="ncnn")("imgs/0.ppm")
    np.testing.assert_array_equal(np.reshape(maps[0], (1, 7, 7, 4)), expected.astype(np.float16))
    footer = json.loads(pq.read_metadata("feats/part-00000.parquet").metadata[b"vggfeat"])
    assert footer["settings"]["weights"]["fingerprint"] == WEIGHTS[0].fingerprint
    assert (footer["rows"], footer["failed"]) == (3, 0)


def test_npy_parts_are_outputs_by_themselves(vectors: np.ndarray, images: list[str]) -> None:
    run("imgs", form="npy")
    parts = [load_features(f"feats/part-0000{number}.npy") for number in range(3)]
    np.testing.assert_array_equal(np.concatenate([part.vectors for part in parts]), vectors)
    assert [path for part in parts for path in part.paths] == [p for p in images if p != BAD]


def test_the_manifest_tells_of_all_parts(images: list[str]) -> None:
    run("imgs")
    about = told("feats")
    assert (about["rows"], about["failed"], about["format"]) == (6, 1, "parquet")
    assert [(p["name"], p["rows"], p["failed"]) for p in about["parts"]] == [
        ("part-00000", 3, 0), ("part-00001", 2, 1), ("part-00002", 1, 0),
    ]  # fmt: skip
    assert [p["bytes"] for p in about["parts"]] == [
        os.path.getsize(f"feats/part-0000{number}.parquet") for number in range(3)
    ]
    assert [run["computed"] for run in about["runs"]] == [6]
    run("imgs")
    assert [run["computed"] for run in told("feats")["runs"]] == [6, 0]


def test_a_second_run_reads_no_image_and_writes_no_part(
    images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("imgs")
    before = files("feats")
    monkeypatch.setattr("vggfeat.sources.files.LocalFile.read", lambda image: 1 / 0)
    recorder = Recorder()
    report = run("imgs", watcher=recorder)
    assert (report.computed, report.kept, report.failed) == (0, 6, 1)
    assert recorder.heard == ["stop"]
    del before["_vggfeat.json"]
    assert before.items() <= files("feats").items()


def test_only_parts_that_change_are_written(images: list[str]) -> None:
    run("imgs")
    before = files("feats")
    os.utime("imgs/3.ppm", (10**9 + 5, 10**9 + 5))
    Path("imgs/4.ppm").write_bytes(Path("imgs/0.ppm").read_bytes()[:-1] + b"x")
    report = run("imgs")
    assert (report.computed, report.kept, report.dropped) == (1, 5, 0)
    changed = {name for name, stamp in files("feats").items() if before.get(name) != stamp}
    assert changed == {"part-00001.parquet", "_failed/part-00001.parquet", "_vggfeat.json"}


@pytest.mark.parametrize("form", ["parquet", "npy"])
@pytest.mark.parametrize(("first", "gone"), [(100, range(0)), (100, range(5)), (0, range(20))])
def test_rows_move_from_part_to_part(form: str, first: int, gone: range) -> None:
    """As many new or vanished images as come before them, within some parts."""
    pictures("imgs", 24, first=100)
    run("imgs", form=form)
    for number in gone:
        os.unlink(f"imgs/{100 + number}.ppm")
    new = pictures("imgs", 8, first=first) if first < 100 else []
    report = run("imgs", form=form)
    kept = 24 - len(gone)
    assert (report.computed, report.kept, report.dropped) == (len(new), kept, len(gone))
    run("imgs", "scratch/", form=form)
    assert content("feats") == content("scratch")
    assert files("feats").keys() == files("scratch").keys()


def test_other_settings_compute_all_anew_and_say_so(images: list[str]) -> None:
    run("imgs")
    recorder = Recorder()
    assert run("imgs", seed=1, watcher=recorder).computed == 6
    assert str(recorder.heard[0]).startswith("all is computed anew: weights")
    assert run("imgs", seed=1).computed == 0


def test_the_engine_of_the_parts_goes_on(
    images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("imgs")
    monkeypatch.setattr("vggfeat.engines.gpu.usable", lambda: True)
    assert extract("imgs", "feats/", weights=WEIGHTS[0]).computed == 0


def test_failures_that_may_pass_are_tried_again(images: list[str]) -> None:
    Path("imgs/7.ppm").symlink_to("8.ppm")
    assert run("imgs").failed == 2
    pictures("elsewhere", 1, first=9)
    os.replace("elsewhere/9.ppm", "imgs/8.ppm")
    report = run(["imgs/7.ppm", *images])
    assert (report.failed, report.computed) == (1, 1)


class Listening(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.foresaw: list[tuple[str, str]] = []

    def foreseen(self, name: str, why: str) -> None:
        self.foresaw.append((name, why))


def test_a_dry_run_tells_and_does_nothing(images: list[str]) -> None:
    listening = Listening()
    assert run("imgs", dry_run=True, watcher=listening).computed == 7
    assert not os.path.exists("feats")
    assert listening.foresaw == [(path, "new") for path in images]
    run("imgs")
    before = files("feats")
    Path("imgs/1.ppm").write_bytes(Path("imgs/0.ppm").read_bytes()[::-1])
    os.unlink("imgs/6.ppm")
    listening.foresaw.clear()
    report = run("imgs", dry_run=True, watcher=listening)
    assert listening.foresaw == [("imgs/1.ppm", "changed"), ("imgs/6.ppm", "gone")]
    assert report.computed == 1
    assert files("feats") == before


def test_strict_ends_at_a_failure_known_or_new(images: list[str]) -> None:
    with pytest.raises(VggfeatError, match="the file is empty \\(--strict\\)"):
        run("imgs", strict=True)
    assert not os.path.exists("feats/_vggfeat.json")
    run("imgs")
    with pytest.raises(VggfeatError, match="the file is empty \\(--strict\\)"):
        run("imgs", strict=True)


def test_an_empty_folder_is_an_error_and_leaves_nothing() -> None:
    os.mkdir("imgs")
    with pytest.raises(VggfeatError, match="no images in imgs"):
        run("imgs")
    assert os.listdir(".") == ["imgs"]


def test_images_out_of_reach_keep_their_rows(images: list[str]) -> None:
    pictures("disk", 4, first=50)
    os.symlink(os.path.abspath("disk"), "imgs/z")
    run("imgs")
    os.rename("disk", "gone")
    before = content("feats")
    with pytest.raises(VggfeatError, match="cannot be looked into"):
        run("imgs")
    assert content("feats").rows[2:] == before.rows[2:]
    assert run("imgs", fresh=True).rows == 6


def test_a_file_form_is_refused_for_parts(images: list[str]) -> None:
    with pytest.raises(UsageError, match="the parts of a folder are parquet or npy, not csv"):
        run("imgs", form="csv")


def test_memory_is_that_of_some_rows(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a part go to its file group by group, those that are kept as well."""
    monkeypatch.setattr("vggfeat.dataset.job.MOST_IMAGES", 100)
    monkeypatch.setattr("vggfeat.dataset.work.GROUP_BYTES", 2 * 5 * 4)
    pq = pytest.importorskip("pyarrow.parquet")
    run("imgs")
    os.utime("imgs/6.ppm", (5, 5))
    run("imgs")
    metadata = pq.read_metadata("feats/part-00000.parquet")
    groups = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
    assert groups == [2, 2, 2]


def test_a_dry_run_knows_what_has_moved_and_what_fails_again(images: list[str]) -> None:
    run("imgs")
    os.rename(images[0], "imgs/00.ppm")
    Path("imgs/10.ppm").write_bytes(Path(images[3]).read_bytes())
    os.utime(images[1], (7, 7))
    pictures("imgs", 1, 20)
    listening = Listening()
    report = run("imgs", dry_run=True, watcher=listening)
    assert (report.rows, report.failed, report.computed) == (8, 1, 1)
    assert listening.foresaw == [
        ("imgs/00.ppm", "moved"),
        ("imgs/1.ppm", "touched"),
        ("imgs/10.ppm", "moved"),
        ("imgs/20.ppm", "new"),
        ("imgs/0.ppm", "gone"),
    ]
    done = run("imgs")
    assert (done.rows, done.failed, done.computed) == (8, 1, 1)
