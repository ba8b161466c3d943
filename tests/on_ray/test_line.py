"""Parts that come one by one become one stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from vggfeat.dataset.part import Part, Record
from vggfeat.errors import VggfeatError
from vggfeat.ray.line import Line
from vggfeat.sources.units import Files


def part(number: int) -> Part:
    return Part(number, Files([]), "", 0, 0)


def record(number: int) -> Record:
    return Record(number, 1, 0, 0, 1, "", 0, 0)


class Worker:
    """Answers when it is let; each part when the next one is taken, as a pipeline does."""

    def __init__(self) -> None:
        self.streams: list[list[int]] = []
        self.go_on = threading.Semaphore(0)

    def __call__(self, parts: Iterable[Part]) -> Iterator[Record]:
        self.streams.append([])
        before = None
        for taken in parts:
            self.streams[-1].append(taken.number)
            self.go_on.acquire()
            if before is not None:
                yield record(before)
            before = taken.number
            if taken.number == 13:
                raise VggfeatError("out of luck")
        if before is not None:
            yield record(before)


def sent(line: Line, numbers: Iterable[int]) -> list[Future[Record]]:
    pool = ThreadPoolExecutor()
    return [pool.submit(line, part(number)) for number in numbers]


def test_a_part_that_waits_is_taken_without_a_pause_and_the_last_is_answered() -> None:
    worker = Worker()
    line = Line(worker)
    (first,) = sent(line, [1])
    while not worker.streams:
        time.sleep(0.001)
    (second,) = sent(line, [2])
    while line._waiting.empty():
        time.sleep(0.001)
    worker.go_on.release(2)
    assert first.result(20) == record(1)
    assert second.result(20) == record(2)
    assert worker.streams == [[1, 2]]
    worker.go_on.release()
    assert sent(line, [3])[0].result(20) == record(3)
    assert worker.streams == [[1, 2], [3]]


def test_an_error_is_everyones_who_waits_and_the_next_part_begins_anew() -> None:
    worker = Worker()
    line = Line(worker)
    worker.go_on.release(3)
    for future in sent(line, [13]):
        with pytest.raises(VggfeatError, match="out of luck"):
            future.result(20)
    assert sent(line, [14])[0].result(20) == record(14)


def test_a_part_that_is_sent_again_is_computed_once() -> None:
    worker = Worker()
    line = Line(worker)
    (first,) = sent(line, [1])
    while not worker.streams:
        time.sleep(0.001)
    (again,) = sent(line, [1])
    while line._waiting.empty():
        time.sleep(0.001)
    worker.go_on.release(2)
    assert first.result(20) == again.result(20) == record(1)
    assert worker.streams == [[1]]
