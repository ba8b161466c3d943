"""What cannot be read for the moment loses no row, in a file or a folder of parts."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dataset.made import LONG_AGO, files, pictures, run
from tests.object_store import Store
from vggfeat import Report, VggfeatError

OUTPUTS = ["out/feats.npy", "out/"]


@pytest.fixture(params=OUTPUTS)
def output(request: pytest.FixtureRequest) -> str:
    """A place for features in a folder of its own, beside images."""
    os.mkdir("out")
    pictures("imgs", 4)
    return str(request.param)


def packed(path: str, first: int, count: int) -> bytes:
    """An archive of images of long ago."""
    images = pictures("packed", count, first)
    if path.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as zipped:
            for image in images:
                zipped.write(image)
    else:
        with tarfile.open(path, "w:gz" if path.endswith("gz") else "w") as tar:
            for image in images:
                tar.add(image)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return Path(path).read_bytes()


def done(report: Report) -> tuple[int, int, int, int]:
    return report.rows, report.failed, report.computed, report.dropped


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_an_archive_out_of_reach_keeps_its_rows(store: Store, output: str, suffix: str) -> None:
    bucket = store.bucket()
    archives = [f"s3://{bucket}/{name}.{suffix}" for name in "ab"]
    for number, archive in enumerate(archives):
        store.put(archive, packed(f"{number}.{suffix}", 10 * (number + 1), 5))
    names = ["imgs", *archives]
    run(names, output)
    before = {name: stamp for name, stamp in files("out").items() if name[0] != "."}
    store.fail(1000, method="GET", path=r"/a\.", how=503)
    store.fail(1000, method="HEAD", path=r"/a\.", how=503)
    with pytest.raises(VggfeatError, match=r"/a\..*; the rows of \d images in it would be lost"):
        run(names, output)
    assert before.items() <= files("out").items()
    with pytest.raises(VggfeatError, match=r"would be lost"):
        run(names, output, dry_run=True)
    assert done(run(names, output, fresh=True)) == (9, 1, 9, 0 if output == "out/" else 5)
    store.calm()
    assert done(run(names, output))[:3] == (14, 0, 5)


def test_an_archive_that_was_deleted_is_gone(store: Store, output: str) -> None:
    bucket = store.bucket()
    names = [f"s3://{bucket}/a.tar", "imgs"]
    store.put(names[0], packed("a.tar", 10, 5))
    run(names, output)
    store.delete(names[0])
    assert done(run(names, output)) == (4, 1, 0, 5)


def test_an_archive_that_never_had_rows_stops_nothing(store: Store, output: str) -> None:
    bucket = store.bucket()
    run("imgs", output)
    store.put(f"s3://{bucket}/a.tar", packed("a.tar", 10, 5)[:2000])
    os.unlink("imgs/3.ppm")
    pictures("imgs", 1, 7)
    assert done(run(["imgs", f"s3://{bucket}/a.tar"], output))[1:] == (1, 2, 1)


def test_an_archive_that_ends_before_others_moves_with_them(store: Store, output: str) -> None:
    """Its rows stand in other parts now, and are not lost."""
    bucket = store.bucket()
    names = [f"s3://{bucket}/{name}.tar" for name in "bcd"]
    for number, name in enumerate(names):
        data = packed("a.tar", 10 * (number + 1), 5)
        store.put(name, data[:3000] if number == 1 else data)
    rows, failed, _, _ = done(run([*names, "imgs"], output))
    assert (rows, failed) == (15, 1)
    store.put(f"s3://{bucket}/a.tar", packed("a.tar", 50, 2))
    names = [f"s3://{bucket}/a.tar", *names]
    assert done(run([*names, "imgs"], output)) == (17, 1, 2, 0)


def test_a_table_out_of_reach_keeps_the_rows_of_all_its_parts(store: Store, output: str) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [Path(path).read_bytes() for path in pictures("packed", 8, 10)]
    pq.write_table(pa.table({"image": images}), "t.parquet")
    address = f"s3://{store.bucket()}/t.parquet"
    store.put(address, Path("t.parquet").read_bytes())
    names = [address, "imgs"]
    assert run(names, output).rows == 12
    before = {name: stamp for name, stamp in files("out").items() if name[0] != "."}
    store.fail(1000, method="(GET|HEAD)", path=r"/t\.parquet", how=503)
    with pytest.raises(VggfeatError, match=r"t.parquet: .*; the rows of \d images in it would"):
        run(names, output)
    assert before.items() <= files("out").items()


def test_a_folder_that_comes_back_within_the_run_keeps_its_rows(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures("imgs/sub", 3, 20)
    run("imgs", output)
    scandir, asked = os.scandir, list[str]()

    def failing_once(path: str = ".") -> Iterator[os.DirEntry[str]]:
        if path == "imgs/sub" and not asked:
            asked.append(path)
            raise OSError(5, os.strerror(5), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing_once)
    with pytest.raises(VggfeatError, match="^imgs/sub: the folder cannot be listed: .*; the rows"):
        run("imgs", output)
    assert asked
    assert done(run("imgs", output)) == (7, 0, 0, 0)
