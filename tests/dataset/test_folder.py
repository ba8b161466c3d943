"""Whose a folder is, who writes it, and what dead processes have left in it."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from tests.dataset.made import content, files, pictures, run, told
from tests.test_run import Recorder
from vggfeat import VggfeatError
from vggfeat.dataset.job import Job
from vggfeat.dataset.local_folder import LocalFolder
from vggfeat.dataset.lock import locked
from vggfeat.dataset.manifest import unseal
from vggfeat.dataset.merge import merge
from vggfeat.dataset.shard import ALL, Shard, shard_of
from vggfeat.errors import OutputBusyError, UsageError

OTHER_OWNERS: dict[str, Callable[[], object]] = {
    "other files": lambda: Path("feats/notes.txt").write_text("mine"),
    "a folder of others": lambda: os.mkdir("feats/more"),
    "the inputs' own": lambda: pictures("feats", 3),
    "another program's parts": lambda: foreign_part("feats/part-00000.parquet"),
    "a part that was cut short": lambda: Path("feats/part-00000.parquet").write_bytes(b"PAR1"),
}


def foreign_part(path: str) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"path": ["a"]}), path)


@pytest.mark.parametrize("whose", OTHER_OWNERS)
def test_what_is_not_ours_is_refused(whose: str) -> None:
    pictures("imgs", 4)
    os.mkdir("feats")
    OTHER_OWNERS[whose]()
    before = files("feats")
    with pytest.raises(VggfeatError, match="vggfeat did not write"):
        run("imgs")
    assert files("feats") == before


def test_a_part_of_anothers_among_ours_is_not_replaced() -> None:
    pictures("imgs", 4)
    run("imgs")
    foreign_part("feats/part-00001.parquet")
    before = files("feats")
    with pytest.raises(VggfeatError, match="part-00001.parquet: was not written by vggfeat"):
        run("imgs")
    os.unlink("imgs/3.ppm")  # it would be removed
    with pytest.raises(VggfeatError, match="part-00001.parquet: was not written by vggfeat"):
        run("imgs")
    assert files("feats") == before


def test_ours_is_known_without_its_manifest() -> None:
    pictures("imgs", 4)
    run("imgs")
    os.unlink("feats/_vggfeat.json")
    assert run("imgs").computed == 0
    assert told("feats")["rows"] == 4


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"vggfeat": "0.1", "parts": []}'])
def test_a_damaged_manifest_is_written_anew(damage: str) -> None:
    pictures("imgs", 4)
    run("imgs")
    parts = told("feats")["parts"]
    Path("feats/_vggfeat.json").write_text(damage)
    with pytest.raises(VggfeatError, match="there is no _vggfeat.json in it, or a damaged one"):
        merge("feats/", "merged.npy")
    assert run("imgs").computed == 0
    assert [part["digest"] for part in told("feats")["parts"]] == [it["digest"] for it in parts]
    Path("feats/_vggfeat.json").write_text(damage)
    os.unlink("imgs/0.ppm")
    assert run("imgs").computed == 0
    run("imgs", "scratch/")
    assert content("feats") == content("scratch")


def test_another_form_is_refused() -> None:
    pictures("imgs", 4)
    run("imgs")
    with pytest.raises(VggfeatError, match="is parquet there: add --format parquet"):
        run("imgs", form="npy")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("file/", "is there and is not a folder"),
        ("none/feats/", "there is no folder"),
        ("imgs", "is a folder: write imgs/ for parts in it"),
        ("https://example.org/feats/", "nothing can be written to https addresses"),
    ],
)
def test_what_cannot_be_a_folder_is_refused(output: str, message: str) -> None:
    pictures("imgs", 1)
    Path("file").touch()
    with pytest.raises(VggfeatError, match=message):
        run("imgs", output)


@pytest.mark.parametrize("name", ["part-00001.parquet", "_failed/part-00001.parquet"])
@pytest.mark.parametrize("how", ["lose", "cut", "empty", "spoil"])
def test_a_damaged_part_is_computed_anew(name: str, how: str) -> None:
    pictures("imgs", 7)
    Path("imgs/4.ppm").write_bytes(b"")
    run("imgs")
    whole, path = content("feats"), Path("feats", name)
    data = path.read_bytes()
    path.unlink()
    if how != "lose":
        kept = {"cut": data[:-5], "empty": b"", "spoil": data[:-8] + b"\0\0\0\0PAR1"}[how]
        path.write_bytes(kept)
    recorder = Recorder()
    report = run("imgs", watcher=recorder)
    assert report.computed == (0 if "_failed" in name else 2)
    assert content("feats") == whole
    assert run("imgs").computed == 0


def test_a_damaged_row_of_a_part_that_changes_is_computed_anew() -> None:
    pictures("imgs", 3)
    run("imgs")
    path = Path("feats/part-00000.parquet")
    data = bytearray(path.read_bytes())
    data[data.index(b"\x28\xb5\x2f\xfd") + 9] ^= 1  # within the first compressed page
    path.write_bytes(data)
    os.utime("imgs/2.ppm", (5, 5))
    assert run("imgs").computed == 3
    run("imgs", "scratch/")
    assert content("feats") == content("scratch")


def test_two_processes_cannot_have_the_same_parts() -> None:
    pictures("imgs", 4)
    os.mkdir("feats")
    folder = LocalFolder(Path("feats").resolve(), ALL)
    with locked(folder, Shard(1, 2), wait=False, on_wait=print):
        with pytest.raises(OutputBusyError, match="another vggfeat .--shard 1/2. is writing it"):
            run("imgs", shard="1/2")
        with pytest.raises(OutputBusyError, match="another vggfeat .--shard 1/2. is writing it"):
            run("imgs")
        assert run("imgs", shard="0/2").awaits_others
    assert run("imgs").computed == 1


def test_who_waits_goes_on_when_the_other_has_ended() -> None:
    pictures("imgs", 4)
    os.mkdir("feats")
    folder, held, release = LocalFolder(Path("feats").resolve(), ALL), *os.pipe()
    child = os.fork()
    if child == 0:
        with locked(folder, Shard(0, 2), wait=False, on_wait=print):
            os.write(release, b".")
            time.sleep(0.5)
        os._exit(0)
    os.read(held, 1)
    recorder = Recorder()
    assert run("imgs", wait=True, watcher=recorder).computed == 4
    assert os.waitpid(child, 0)[1] == 0
    assert "waiting for another vggfeat" in str(recorder.heard[0])


def test_temporary_files_of_the_dead_go_and_those_of_the_living_stay() -> None:
    pictures("imgs", 4)
    run("imgs")
    dead = ["feats/.part-00000.parquet.123456789abc.0-of-1.tmp", "feats/.x.0123.3-of-4.tmp"]
    dead.append("feats/.2-of-3.decoding")
    living = "feats/.part-00001.parquet.123456789abc.1-of-4.tmp"
    for path in dead:
        Path(path).touch()
    folder = LocalFolder(Path("feats").resolve(), ALL)
    with locked(folder, Shard(1, 4), wait=False, on_wait=print):
        Path(living).touch()
        run("imgs", shard="0/4")
        assert os.path.exists(living)
        assert not any(map(os.path.exists, dead[1:]))
    run("imgs")
    assert not [path for path in files("feats") if path.startswith(".")]


@pytest.mark.parametrize("text", ["16/16", "1", "-1/2", "a/b", "1/0", "1/2/3", ""])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give I/N, as 0/16 for the first of sixteen"):
        shard_of(text)


def test_shards_share_the_parts_without_knowing_of_each_other() -> None:
    pictures("imgs", 10)
    pictures("imgs", 1, first=99)
    Path("imgs/99.ppm").write_bytes(b"")
    os.utime("imgs/99.ppm", (5, 5))
    reports = [run("imgs", shard=f"{number}/3") for number in (2, 0, 1)]
    assert [report.rows for report in reports] == [3, 4, 3]
    assert [report.awaits_others for report in reports] == [True, True, False]
    run("imgs", "scratch/")
    assert content("feats") == content("scratch")
    assert told("feats")["rows"] == 10
    before = files("feats")
    assert [run("imgs", shard=f"{number}/3").computed for number in range(3)] == [0, 0, 0]
    assert files("feats") == before
    for number in (0, 1, 2, 3):
        os.unlink(f"imgs/{number}.ppm")  # the last part goes
    for number in range(3):  # a row is lost where one shard replaces what another would keep
        assert run("imgs", shard=f"{number}/3").computed <= 1
    run("imgs", "scratch/")
    assert content("feats") == content("scratch")
    assert told("feats")["rows"] == 6


def killed(shard: str, after: int) -> bool:
    """Whether a process that computes a shard was killed after so many of its steps."""
    child = os.fork()
    if child == 0:
        steps = iter(range(after))

        def step(real: Callable[..., object]) -> Callable[..., object]:
            def call(*args: object, **options: object) -> object:
                if next(steps, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **options)

            return call

        try:
            with (
                mock.patch("os.replace", step(os.replace)),
                mock.patch("os.fsync", step(os.fsync)),
            ):
                run("imgs", shard=shard, workers=1)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status != 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_sixteen_shards_that_are_killed_at_random_end_as_one_run_does() -> None:
    paths = pictures("imgs", 3 * 18 - 1)
    deaths, left, chance = 0, list(range(16)), random.Random(1)
    for attempt in range(20):
        deaths += len(left := [n for n in left if killed(f"{n}/16", chance.randrange(8 + attempt))])
        if not left:
            break
    assert deaths > 10
    run("imgs", "scratch/")
    assert content("feats") == content("scratch")
    assert [row[0] for part in content("feats").rows for row in part] == paths
    assert told("feats")["rows"] == len(paths)
    assert files("feats").keys() == files("scratch").keys()


def test_an_interrupt_keeps_the_parts_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures("imgs", 12)
    recorder = Recorder()

    def interrupt(images: int, done: list[int] = []) -> None:  # noqa: B006
        done.append(images)
        if sum(done) >= 8:
            raise KeyboardInterrupt

    recorder.advance = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run("imgs", watcher=recorder, batch_size=1, workers=1)
    assert recorder.heard[-2:] == ["2 parts are done and kept, the next run goes on", "stop"]
    assert not [name for name in files("feats") if name.endswith(".tmp")]
    assert run("imgs").computed == 6


def test_whoever_comes_second_leaves_what_is_told_of_unfinished_parts() -> None:
    """Two shards let nobody take a folder for whole in the same moment."""
    pictures("imgs", 4)
    run("imgs")
    before = told("feats")

    class Slow(LocalFolder):
        def read(self, name: str) -> bytes:
            os.rename("feats/_vggfeat.json", "feats/_unfinished.json")  # the other was faster
            return super().read(name)

    settings = {key: before[key] for key in before.keys() - {"parts", "runs", "rows", "failed"}}
    unseal(Slow(Path("feats").resolve(), ALL), Job("feats/", "parquet", settings, "run"))
    assert json.loads(Path("feats/_unfinished.json").read_bytes()) == before


@pytest.mark.parametrize("form", ["parquet", "npy"])
def test_a_disk_that_is_full_is_told_with_the_part(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures("imgs", 4)
    monkeypatch.setattr("vggfeat.dataset.npy.npy.encode", full)
    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    message = f"feats/part-00000.{form}: cannot be written: {os.strerror(errno.ENOSPC)}"
    with pytest.raises(VggfeatError, match=message):
        run("imgs", form=form)
    with pytest.raises(VggfeatError, match="the temporary folder .*: .*; set TMPDIR to one with"):
        run("imgs", "memory://full/feats/", form=form)


def full(*args: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
