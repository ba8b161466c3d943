"""Files are read ahead, in bounded memory."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.test_pipeline import Grey, MeanEngine
from vggfeat import pipeline, reading
from vggfeat.outcome import Failure, Row, Stamp
from vggfeat.preprocess import ImageData
from vggfeat.reading import BeingRead, Reading
from vggfeat.sources import Source

PIXELS = np.zeros((224, 224, 3), np.uint8)


class Desk:
    """What is read and not decoded, counted."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sizes: list[int] = []
        self.most_files = 0
        self.most_beside = 0  # bytes, beside one file a worker, which may be of any size

    def put(self, size: int) -> None:
        with self.lock:
            self.sizes.append(size)
            self.most_files = max(self.most_files, len(self.sizes))
            self.most_beside = max(self.most_beside, sum(sorted(self.sizes)[:-WORKERS]))

    def take(self, size: int) -> None:
        with self.lock:
            self.sizes.remove(size)


WORKERS = 2
ROOM = 100  # bytes


class File:
    """Of a made-up size; unreadable where that is odd."""

    def __init__(self, number: int, size: int | None, desk: Desk, seconds: float = 0) -> None:
        self.name = str(number)
        self.size = size
        self.desk = desk
        self.seconds = seconds

    def stamp(self) -> Stamp | None:
        return None if self.size is None else Stamp(self.size, 0)

    def read(self) -> Source:
        if self.size is not None and self.size % 2:
            raise OSError(5, "Input/output error")
        self.desk.put(self.size or 0)
        time.sleep(self.seconds)
        return Source(np.full((1, self.size or 0), 7, np.uint8), Stamp(0, 0))


def decoded_by(desk: Desk) -> Any:
    def preprocess(data: ImageData) -> NDArray[np.uint8]:
        assert isinstance(data, np.ndarray)
        time.sleep(0.001)
        desk.take(data.size)
        return PIXELS

    return preprocess


def names(outcomes: list[Any]) -> list[str]:
    return [outcome.name for batch in outcomes for outcome in batch]


def test_more_files_are_read_at_once_than_there_are_workers_and_stay_in_order() -> None:
    desk = Desk()
    files = [File(number, 2, desk, seconds=0.02) for number in range(96)]
    begin = time.monotonic()
    run = pipeline.run(files, decoded_by(desk), MeanEngine(), batch_size=16, workers=WORKERS)
    assert names(list(run)) == [file.name for file in files]
    assert desk.most_files > 2 * WORKERS
    assert time.monotonic() - begin < 0.02 * 96 / WORKERS  # what workers that wait would take


def test_where_files_come_at_once_no_thread_reads_ahead() -> None:
    before = set(threading.enumerate())
    during: set[str] = set()
    desk = Desk()
    files = [File(number, 2, desk) for number in range(64)]
    run = pipeline.run(files, decoded_by(desk), MeanEngine(), batch_size=16, workers=WORKERS)
    for _ in run:
        during |= {thread.name for thread in set(threading.enumerate()) - before}
    assert any(name.startswith("worker") for name in during)
    assert not any(name.startswith("reader") for name in during)
    assert desk.most_files <= WORKERS


def test_a_file_that_comes_late_does_not_change_the_order() -> None:
    desk = Desk()
    files = [File(number, 2, desk, seconds=0.1 * (number == 5)) for number in range(32)]
    run = pipeline.run(files, decoded_by(desk), MeanEngine(), batch_size=16, workers=WORKERS)
    assert names(list(run)) == [file.name for file in files]


@given(
    sizes=st.lists(st.none() | st.integers(0, 60) | st.just(250), max_size=30),
    batch_size=st.integers(1, 16),
)
@settings(max_examples=60, deadline=None)
def test_files_that_are_read_ahead_have_a_bounded_size(
    sizes: list[int | None], batch_size: int
) -> None:
    desk = Desk()
    files = [File(number, size, desk) for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_MOST_BYTES", ROOM)
        patch.setattr(reading, "_LATE", -1)  # any waiting is much
        patch.setattr(reading, "_SHARE", -1)
        run = pipeline.run(
            files, decoded_by(desk), MeanEngine(), batch_size=batch_size, workers=WORKERS
        )
        outcomes = [outcome for batch in run for outcome in batch]
    for outcome, file in zip(outcomes, files, strict=True):
        assert outcome.name == file.name
        assert isinstance(outcome, Failure if (file.size or 0) % 2 else Row)
    assert desk.most_beside <= ROOM


def held(images: list[Any], users: int) -> tuple[Reading, list[Future[Source]], list[Future[None]]]:
    """Images that are read ahead, and not used until the second futures are settled."""
    ahead = Reading(users)
    sources: list[Future[Source]] = []

    def use(being_read: BeingRead) -> Future[None]:
        assert being_read.ahead
        sources.append(being_read.ahead)
        return Future()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_SHARE", 0)
        for _ in range(4):  # late files, so that there are as many threads
            ahead.result(BeingRead(File(-1, 0, Desk(), 0.02), None))
    return ahead, sources, [ahead.start(image, use) for image in images]


def are_done(futures: list[Future[Any]]) -> list[bool]:
    time.sleep(0.1)  # for those that must not be
    return [future.done() for future in futures]


def test_the_next_file_is_read_when_one_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_BYTES", ROOM)
    ahead, sources, used = held([File(n, size, Desk()) for n, size in enumerate([60, 40, 10])], 1)
    assert [source.result(20).data.size for source in sources[:2]] == [60, 40]  # type: ignore[union-attr]
    assert are_done(sources) == [True, True, False]
    used[1].set_result(None)
    assert sources[2].result(20)
    ahead.shutdown()


def test_those_first_in_line_are_read_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_BYTES", ROOM)
    images = [File(n, size, Desk()) for n, size in enumerate([1000, 1000, 1000, 20])]
    ahead, sources, used = held(images, 2)
    assert sources[0].result(20)
    assert sources[1].result(20)
    assert are_done(sources) == [True, True, False, False]
    used[0].cancel()  # as one that is given up
    assert sources[2].result(20)
    assert are_done(sources)[3] is False
    ahead.shutdown()


@pytest.mark.parametrize("is_ahead", [True, False])
def test_what_reading_raises_is_told_to_who_uses_it(is_ahead: bool) -> None:
    image = Grey("a", 0, OSError(5, "Input/output error"))
    ahead, sources, _ = held([image], 1)
    with pytest.raises(OSError, match="Input/output error"):
        ahead.result(BeingRead(image, sources[0] if is_ahead else None))
    ahead.shutdown()


def test_where_no_thread_can_be_started_users_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("reader"):
            raise RuntimeError("can't start new thread")
        real(thread)

    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    desk = Desk()
    files = [File(number, 2, desk, seconds=0.02) for number in range(64)]
    run = pipeline.run(files, decoded_by(desk), MeanEngine(), batch_size=16, workers=WORKERS)
    assert names(list(run)) == [file.name for file in files]
    assert desk.most_files <= WORKERS


def test_nothing_is_read_after_the_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_BYTES", ROOM)
    desk = Desk()
    ahead, sources, _ = held([File(n, 200, desk) for n in range(40)], 1)
    assert sources[0].result(20)
    ahead.shutdown()
    for source in sources[1:]:
        with pytest.raises(CancelledError):
            source.result(20)
    assert desk.sizes == [200]
