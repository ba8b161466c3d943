"""Folders at addresses, and what object stores do to those who write to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.dataset.made import Content, content, files, pictures, run
from tests.object_store import Store
from vggfeat import VggfeatError
from vggfeat.dataset.merge import merge

PART = r"/part-0000\d\.parquet$"
MANIFEST = r"/_vggfeat\.json$"


@pytest.fixture
def feats(store: Store) -> str:
    """An address for a folder, beside images of which one fails."""
    pictures("imgs", 8)
    Path("imgs/4.ppm").write_bytes(b"")
    os.utime("imgs/4.ppm", (5, 5))
    return f"s3://{store.bucket()}/some/feats/"


def fetched(store: Store, feats: str) -> Content:
    bucket, _, folder = feats.removeprefix("s3://").partition("/")
    for key in store.keys(bucket):
        path = Path("fetched", key.removeprefix(folder))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(f"s3://{bucket}/{key}"))
    return content("fetched")


@pytest.fixture
def expected(feats: str) -> Content:
    run("imgs", "scratch/")
    return content("scratch")


def names(store: Store, feats: str) -> list[str]:
    return [key.rpartition("feats/")[2] for key in store.keys(feats.split("/")[2])]


def test_it_is_what_a_folder_here_is(store: Store, feats: str, expected: Content) -> None:
    assert run("imgs", feats).computed == 7
    assert fetched(store, feats) == expected
    assert sorted(names(store, feats)) == sorted(files("scratch"))
    puts = [request.path for request in store.met("PUT")]
    assert [path for path in puts if "part-" in path or "_vggfeat" in path][-1].endswith(
        "_vggfeat.json"
    )


def test_a_second_run_puts_no_part_and_asks_for_none(store: Store, feats: str) -> None:
    run("imgs", feats)
    store.calm()
    assert run("imgs", feats).computed == 0
    assert not store.met("PUT", PART)
    assert not store.met("GET", PART)


def test_faults_that_pass_are_not_seen(store: Store, feats: str, expected: Content) -> None:
    faults = [
        store.fail(2, method="PUT", path=PART, how=503),
        store.fail(1, method="PUT", path=PART, how="reset", after=3),
        store.fail(1, method="PUT", path=MANIFEST, how=500),
        store.fail(1, method="HEAD", path=PART, how=500),
        store.fail(1, method="GET", path="list-type", how=503),
    ]
    run("imgs", feats)
    os.utime("imgs/0.ppm", (6, 6))
    faults.append(store.fail(1, method="GET", path=PART, how="truncate"))
    assert run("imgs", feats).computed == 0
    assert [fault.left for fault in faults] == [0] * len(faults)
    run("imgs", "scratch/")
    assert fetched(store, feats) == content("scratch")


def test_faults_that_last_end_the_run_without_a_manifest(store: Store, feats: str) -> None:
    store.fail(100, method="PUT", path="part-00001", how=403)
    with pytest.raises(VggfeatError, match="part-00001.parquet: cannot be written: "):
        run("imgs", feats)
    assert names(store, feats) == [
        "_failed/part-00001.parquet",
        "_unfinished.json",
        "part-00000.parquet",
    ] or (names(store, feats) == ["_unfinished.json", "part-00000.parquet"])
    store.calm()
    assert run("imgs", feats).computed == 4


def test_readers_never_take_a_mixed_folder_for_a_whole_one(store: Store, feats: str) -> None:
    run("imgs", feats)
    os.utime("imgs/7.ppm", (7, 7))
    os.utime("imgs/0.ppm", (7, 7))
    seen: list[bool] = []

    def look() -> None:
        seen.append("_vggfeat.json" in names(store, feats))

    store.fail(10, method="PUT", path=PART, how=look)
    assert run("imgs", feats).computed == 0
    assert seen == [False, False]
    assert "_vggfeat.json" in names(store, feats)
    assert "_unfinished.json" not in names(store, feats)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_kill_between_any_two_puts_is_repaired(
    store: Store, feats: str, expected: Content, after: int
) -> None:
    run("imgs", feats, seed=1)

    def kill() -> None:
        store.fail(1000, method="PUT|DELETE|POST", how=403)

    store.fail(1, method="PUT", how=kill, after=after)
    with pytest.raises(VggfeatError):
        run("imgs", feats)
    store.calm()
    run("imgs", feats)
    assert fetched(store, feats) == expected
    assert sorted(names(store, feats)) == sorted(files("scratch"))


def test_shards_write_one_folder(store: Store, feats: str, expected: Content) -> None:
    assert run("imgs", feats, shard="1/2").awaits_others
    assert "_vggfeat.json" not in names(store, feats)
    assert not run("imgs", feats, shard="0/2").awaits_others
    assert fetched(store, feats) == expected


def test_other_objects_are_not_replaced(store: Store, feats: str) -> None:
    store.put(f"{feats}mine.txt", b"mine")
    with pytest.raises(VggfeatError, match="holds mine.txt, which vggfeat did not write"):
        run("imgs", feats)
    assert names(store, feats) == ["mine.txt"]


def test_it_is_merged_from_there(store: Store, feats: str) -> None:
    run("imgs", feats)
    merge(feats, "merged.npy")
    run("imgs", "one.npy")
    assert Path("merged.npy").read_bytes() == Path("one.npy").read_bytes()
