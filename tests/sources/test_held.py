"""Images that come with their bytes: so many wait, and who reads is never waited for in vain."""

from __future__ import annotations

import gzip
import pickle
import tarfile
import threading
import time
import tracemalloc
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pytest

from tests import networks
from tests.sources.archives import tar
from vggfeat import extract
from vggfeat.outcome import Stamp
from vggfeat.sources import held, open_inputs
from vggfeat.sources.held import Held, Waiting


def brought(waiting: Waiting, sizes: list[int], out: list[Held]) -> threading.Thread:
    def bring() -> None:
        for size in sizes:
            leave = waiting.room_for(size)
            out.append(Held("a.jpg", bytes(size), Stamp(size, 0), leave))

    thread = threading.Thread(target=bring, daemon=True)
    thread.start()
    return thread


def settled(out: list[Held]) -> int:
    before = -1
    while before != len(out):
        before = len(out)
        time.sleep(0.05)
    return before


def test_who_brings_waits_for_who_reads() -> None:
    out: list[Held] = []
    thread = brought(Waiting(100), [40] * 5, out)
    assert settled(out) == 2
    out[0].read()
    assert settled(out) == 3
    out[0].read()  # again: it takes no room any more
    assert settled(out) == 3
    for image in list(out[1:]):
        image.read()
    thread.join(10)
    assert len(out) == 5


def test_one_that_is_larger_than_all_room_waits_alone() -> None:
    out: list[Held] = []
    thread = brought(Waiting(100), [1000, 1000, 1], out)
    assert settled(out) == 1
    out[0].read()
    assert settled(out) == 2
    out[1].read()
    thread.join(10)
    assert len(out) == 3


def test_one_that_nobody_wants_gives_its_room_back() -> None:
    out: list[Held] = []
    thread = brought(Waiting(100), [60] * 3, out)
    for number in range(2):
        assert settled(out) == 1
        del out[0]
        assert number < 2
    thread.join(10)
    assert len(out) == 1


def test_one_that_is_sent_elsewhere_takes_no_room_here() -> None:
    out: list[Held] = []
    thread = brought(Waiting(100), [60, 60], out)
    assert settled(out) == 1
    again = pickle.loads(pickle.dumps(out[0]))
    thread.join(10)
    assert again.read() == out[0].read()


def test_who_keeps_all_images_gets_them_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_PATIENCE", 0.05)
    out: list[Held] = []
    brought(Waiting(100), [60] * 4, out).join(10)
    assert len(out) == 4


class Noise:
    """A member of so many bytes that are made as they are read."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.block = np.random.default_rng(0).bytes(1 << 20)

    def read(self, size: int = -1) -> bytes:
        taken = self.block[: min(size, self.left)]
        self.left -= len(taken)
        return taken


def test_memory_does_not_grow_with_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    with gzip.open(archive, "wb", 0) as out, tarfile.open(fileobj=out, mode="w") as writer:
        for number in range(160):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = 1 << 20
            writer.addfile(info, cast("IO[bytes]", Noise(info.size)))
    tracemalloc.start()

    sizes = [len(cast("bytes", ref.read().data)) for ref in open_inputs([str(archive)])]

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == [1 << 20] * 160
    assert 1 << 20 < most < 20 << 20


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_a_run_over_an_archive_with_less_room_than_a_batch_ends(
    tmp_path: Path, samples: list[Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("vggfeat.sources.tar.waiting", Waiting(1))
    images = [(path.name, path.read_bytes()) for path in samples if path.suffix == ".jpg"]
    made = tar(images)
    (tmp_path / name).write_bytes(gzip.compress(made) if name.endswith("gz") else made)
    options: dict[str, Any] = {"weights": networks.weights(), "engine": "ncnn", "batch_size": 8}

    report = extract(tmp_path / name, tmp_path / "f.npy", **options)
    again = extract(tmp_path / name, tmp_path / "f.npy", **options)

    assert (report.rows, report.failed) == (len(images), 0)
    assert (again.rows, again.computed) == (len(images), 0)
    paths = [str(path) for path in samples if path.suffix == ".jpg"]
    extract(paths, tmp_path / "files.npy", **options)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), np.load(tmp_path / "files.npy"))
